"""The documents of this repository: their checks, the reference that is generated, and the site."""
