"""Smoke tests: run an image's probes and evaluate their output."""
