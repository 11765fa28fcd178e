"""Probe imports: each module in its own process, so that a crash or hang of one does not hide the others.

Arguments: the time limit of one import in seconds, then the modules. Prints one line of JSON, with an entry for each
module.
"""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

seconds, modules = float(sys.argv[1]), sys.argv[2:]


def run(module):
    """Import one module, and return its entry."""
    started = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-c", f"import {module}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=seconds)
            ended = process.returncode
        except subprocess.TimeoutExpired:
            # Its child processes hold the pipe open, too.
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            ended = None
    return {
        "module": module,
        "ended": ended,
        "output": output.decode(errors="replace")[-4000:] if ended != 0 else "",
        "seconds": time.monotonic() - started,
    }


with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
    results = list(pool.map(run, modules))
print(json.dumps(results))
sys.exit(any(result["ended"] != 0 for result in results))
