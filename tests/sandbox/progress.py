"""Says on standard error what is being done and for how long: live on a terminal, in plain lines elsewhere."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table


@dataclass
class Step:
    """Something that takes a while.

    Attributes:
        name: what it works on.
        doing: its last line.
        started: seconds on the monotonic clock.
    """

    name: str
    doing: str = "…"
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> int:
        """The seconds since its start."""
        return round(time.monotonic() - self.started)


class Progress:
    """Use as a context manager around steps; several threads may each be in one."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._steps: list[Step] = []
        self._own = threading.local()
        self._started = time.monotonic()
        self._live = Live(
            get_renderable=self._table, console=self._console, refresh_per_second=4, transient=True, auto_refresh=True
        )

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Show a step of this thread for as long as it takes."""
        step = Step(name)
        self._own.step = step
        self._steps.append(step)
        try:
            yield
        finally:
            self._steps.remove(step)
            self._own.step = None

    def say(self, text: str) -> None:
        """Print a line, and show it beside this thread's step."""
        step: Step | None = getattr(self._own, "step", None)
        if step is not None:
            step.doing = text.removeprefix(f"{step.name}: ")
        self._console.print(f"[{time.monotonic() - self._started:4.0f} s] {text}", markup=False)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_column(justify="right")
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis")
        for step in list(self._steps):
            table.add_row(f"{step.seconds} s", step.name, step.doing)
        return table
