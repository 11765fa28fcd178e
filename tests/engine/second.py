"""A second sandbox beside the one that the other tests run in: for what would cost these everything that they keep."""

import json
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from tests.sandbox import cache
from tests.sandbox.state import State

DEV: Final = Path(__file__).parents[2] / "dev"
#: Entries of the cache that it does not share with the first one.
OWN: Final = ("sandbox", "sandbox.lock", "second", "cargo-target", "log")


@dataclass(frozen=True)
class Second:
    """A sandbox with a state of its own, from the same parts.

    Attributes:
        home: what it takes for the user's cache folder.
    """

    home: Path

    @classmethod
    def make(cls) -> Self:
        """Take the parts of the first sandbox; the files are the same ones, so this is quick."""
        # Where the first one is: a file can have two names on one file system only, and a socket's path is short.
        made = cls(cache.root() / "second")
        if made.home.exists():  # a test was killed
            made.remove()
        made.state.folder.parent.mkdir(parents=True)
        for part in cache.root().iterdir():
            if part.name == "venv":
                (made.state.folder.parent / part.name).symlink_to(part)
            elif part.name not in OWN:
                copied = subprocess.run(["cp", "--archive", "--link", part, made.state.folder.parent], check=False)
                if copied.returncode:  # another test makes it at this moment
                    shutil.rmtree(made.state.folder.parent / part.name, ignore_errors=True)
        return made

    @property
    def state(self) -> State:
        """Its state folder."""
        return State(self.home / "maniac-pipeline" / "sandbox")

    def dev(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Type a command of ``./dev``, with something on its standard input."""
        return subprocess.run(
            [DEV, *arguments],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
            cwd="/",
            env=os.environ | {"XDG_CACHE_HOME": str(self.home)},
        )

    def up(self) -> str:
        """Start it, which must work; what it says."""
        ended = self.dev("up")
        assert ended.returncode == 0, ended.stderr
        return ended.stderr

    def remember(self) -> str:
        """The output of a container of its engine when it ran first: the same as long as the engine remembers."""
        run = 'withExec(args: ["python3", "-c", "import uuid; print(uuid.uuid4())"]) { stdout }'
        query = f'{{ container {{ from(address: "python:3.13-slim") {{ {run} }} }} }}'
        ended = self.dev("dagger", "query", "--silent", text=query)
        assert ended.returncode == 0, ended.stderr
        return str(json.loads(ended.stdout)["container"]["from"]["withExec"]["stdout"])

    def cut_off(self) -> None:
        """Kill all of its processes at once, as a power cut does."""
        lines: list[dict[str, Any]] = json.loads(self.dev("status", "--json").stdout)
        for line in lines:
            # What stands inside the machine ends with its first process.
            with suppress(ProcessLookupError):
                os.kill(line["pid"], signal.SIGKILL)

    def remove(self) -> None:
        """End it, and leave nothing of it."""
        self.dev("stop", "--kill", "machine", "network")
        # Something else may still be deleting in there, which rm does not mind.
        subprocess.run(["rm", "-rf", self.home], check=True)
