"""Credentials of registries, channels and package indexes, and a check for secrets in files."""
