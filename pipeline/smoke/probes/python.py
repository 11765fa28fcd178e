"""Probe Python: the interpreter is the environment's, and its compiled standard modules load.

Its argument is the path of the environment; without one, any interpreter passes.
"""

import ctypes
import json
import lzma
import platform
import sqlite3
import ssl
import sys

prefix = sys.argv[1] if len(sys.argv) > 1 else sys.prefix
if prefix != sys.prefix:
    raise SystemExit(f"python3 is {sys.executable}, not the one of the environment in {prefix}")

if lzma.decompress(lzma.compress(b"probe")) != b"probe":
    raise SystemExit("lzma does not decompress its own output")
with sqlite3.connect(":memory:") as database:
    database.execute("select 1").fetchone()
ctypes.CDLL(None)

print(json.dumps({"version": platform.python_version(), "detail": ssl.OPENSSL_VERSION}))
