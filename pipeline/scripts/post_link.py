"""Run the post-link scripts of an environment's conda packages as conda does, or report that they did not run.

Usage: post_link.py PREFIX REPORT RUN SECONDS. The output file REPORT gets `PostLinkReport` in JSON. RUN is "run", or
empty to run no script. SECONDS is the time limit of each script. After the first failure it exits with 1, and its last
line is MARK and `Failure` in JSON. Both are defined here and not in `messages.py`, on which the installation of an
environment would depend then: a message that has nothing to do with it would install all environments again.

Runs in a Python outside the environment, since that may have none. To keep their output reproducible, the scripts get a
few variables only, and a temporary home and folder for temporary files.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.scripts.folders import TIME

#: Start of the line that reports a failure.
MARK = "post-link: "
#: Variables that the scripts inherit: the settings of proxies.
PASSED = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
#: Sources a script in a shell with the active environment, as conda and pixi do.
ACTIVE = """
for activation in "$PREFIX"/etc/conda/activate.d/*.sh; do
  [ ! -f "$activation" ] || . "$activation"
done
unset activation
. "$0"
"""


@dataclass(frozen=True)
class PostLinkReport:
    """Packages whose scripts did not run, and the messages to the user of those that did, by package."""

    skipped: list[str]
    messages: dict[str, str]


@dataclass(frozen=True)
class Failure:
    """A failed script: its package, exit code (None after a timeout), and last line of output."""

    package: str
    code: int | None
    line: str


def read_records(prefix: Path) -> dict[str, dict[str, Any]]:
    """Read the records of the conda packages of an environment, by name."""
    records = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(prefix.glob("conda-meta/*.json"))]
    return {record["name"]: record for record in records}


def in_order(records: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Sort the names of packages so that each comes after its dependencies; cycles are broken by name."""
    ordered: dict[str, None] = {}
    seen = set()

    def visit(name: str) -> None:
        if name in records and name not in seen:
            seen.add(name)
            for dependency in sorted(spec.split()[0] for spec in records[name].get("depends", ())):
                visit(dependency)
            ordered[name] = None

    for name in sorted(records):
        visit(name)
    return list(ordered)


def script(prefix: Path, name: str) -> Path:
    """Return the path of a package's script."""
    return prefix / "bin" / f".{name}-post-link.sh"


def variables(prefix: Path, record: Mapping[str, Any], scratch: str) -> dict[str, str]:
    """Return the environment variables of a script."""
    return {
        **{name: os.environ[name] for name in PASSED if name in os.environ},
        "PATH": f"{prefix}/bin:{os.environ.get('PATH', os.defpath)}",
        "HOME": scratch,
        "TMPDIR": scratch,
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "SOURCE_DATE_EPOCH": str(TIME),
        # Byte code depends on what its process compiled before: all modules are compiled later, by compile.py.
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        "CONDA_PREFIX": str(prefix),
        "PREFIX": str(prefix),
        "ROOT_PREFIX": str(prefix),
        "PKG_NAME": str(record["name"]),
        "PKG_VERSION": str(record["version"]),
        "PKG_BUILDNUM": str(record["build_number"]),
    }


def run(prefix: Path, record: Mapping[str, Any], seconds: float) -> tuple[int | None, str, str]:
    """Run a package's script.

    Returns:
        Its exit code, or None after a timeout; its output; its message to the user.
    """
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile() as output:
        environment = variables(prefix, record, scratch)
        shell = shutil.which("bash", path=environment["PATH"]) or "sh"
        started = subprocess.Popen(
            [shell, "-c", ACTIVE, str(script(prefix, record["name"]))],
            cwd=prefix / "bin",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        code: int | None
        try:
            code = started.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()
            code = None
        output.seek(0)
        printed = output.read().decode(errors="replace")
    messages = prefix / ".messages.txt"
    message = messages.read_text(encoding="utf-8", errors="replace").strip() if messages.is_file() else ""
    messages.unlink(missing_ok=True)
    return code, printed, message


def main(prefix: Path, target: Path, enabled: str, seconds: float) -> int:
    """Run as a command; see the module's docstring."""
    records = read_records(prefix)
    names = [name for name in in_order(records) if script(prefix, name).is_file()]
    report = PostLinkReport(skipped=[] if enabled else sorted(names), messages={})
    for name in names if enabled else ():
        code, printed, message = run(prefix, records[name], seconds)
        print(f"post-link script of {name}:\n{printed}", end="", file=sys.stderr)
        if code != 0:
            lines = [line.strip() for line in f"{message}\n{printed}".splitlines() if line.strip()]
            failure = Failure(package=name, code=code, line=lines[-1] if lines else "")
            print(f"\n{MARK}{json.dumps(asdict(failure))}", file=sys.stderr)
            return 1
        if message:
            report.messages[name] = message
    target.write_text(json.dumps(asdict(report)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], float(sys.argv[4])))
