"""Registries: read and write manifests, tags and attachments, as OCI layouts."""
