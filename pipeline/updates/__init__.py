"""Newer base images and known vulnerabilities."""
