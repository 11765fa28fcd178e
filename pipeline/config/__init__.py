"""What people write: image.toml, [tool.pipeline] of pyproject.toml, and what their keys may hold."""
