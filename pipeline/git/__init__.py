"""What git knows of a checkout: its commit, its history, and which files are uploaded to the engine."""
