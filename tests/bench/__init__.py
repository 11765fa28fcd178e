"""Measurements of the pipeline against a Dockerfile that makes the same image; nothing here is asserted."""
