"""How reports look: formats, tables, the log of a call, sizes."""
