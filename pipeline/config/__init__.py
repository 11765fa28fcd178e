"""Configuration files: image.toml and [tool.pipeline] of pyproject.toml, with the rules for their keys."""
