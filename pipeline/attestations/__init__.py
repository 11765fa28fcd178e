"""Attachments of a published image: SBOMs, provenance and signatures."""
