"""Decisions and reports of a publication: which tag may move, and what each registry has."""
