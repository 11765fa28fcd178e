"""Presentation of reports: formats, tables, and the log of a call."""
