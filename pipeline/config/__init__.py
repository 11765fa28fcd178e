"""Configuration files: image.toml and the settings, with the rules for their keys."""
