"""What is attached to a published image: SBOMs, provenance and signatures."""
