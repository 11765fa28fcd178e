"""Credentials of registries, channels and package indexes, and where they must not stand."""
