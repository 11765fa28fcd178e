"""Probe Python: the interpreter is the environment's, and its compiled standard modules load."""

import ctypes
import json
import lzma
import os
import platform
import sqlite3
import ssl
import sys

prefix = os.environ.get("CONDA_PREFIX")
if prefix != sys.prefix:
    raise SystemExit(f"python is {sys.executable}, not the environment's: CONDA_PREFIX is {prefix}")

if lzma.decompress(lzma.compress(b"probe")) != b"probe":
    raise SystemExit("lzma does not give back what it was given")
with sqlite3.connect(":memory:") as database:
    database.execute("select 1").fetchone()
ctypes.CDLL(None)

print(json.dumps({"version": platform.python_version(), "detail": ssl.OPENSSL_VERSION}))
