"""How far an experiment is: a bar with the time left in a terminal, a line every tenth elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Self


class Progress:
    """Counts finished cells, those of an earlier run included. Writes to stderr; nothing at all when not enabled."""

    def __init__(self, cells: int, done: int, enabled: bool = True) -> None:
        self.cells, self.done, self.reused = cells, done, done
        self.enabled = enabled and cells > done
        self.began = time.perf_counter()
        self._failures = ""
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        if self.enabled and self.reused:
            print(f"{self.reused} of {self.cells} cells were done already.", file=sys.stderr)
        if self.enabled and sys.stderr.isatty():
            self._start_bar()
        elif self.enabled:
            print(f"{self.cells - self.done} cells (replications x scenarios) to do.", file=sys.stderr, flush=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            print(self._line(ended=True), file=sys.stderr)

    def advance(self, cells: int, failed: int = 0) -> None:
        """So many more cells have ended; so many of all of them have failed."""
        before, self.done = self.done, min(self.cells, self.done + cells)
        self._failures = f", {failed} failed" if failed else ""
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, failures=self._failures)
        elif self.enabled and before * 10 // self.cells < self.done * 10 // self.cells:
            print(self._line(), file=sys.stderr, flush=True)

    def _line(self, ended: bool = False) -> str:
        """How far it is; with how long it will take yet, or took when it is at its end."""
        passed = time.perf_counter() - self.began
        if ended or self.done == self.cells:
            time_words = f"in {_span(passed)}"
        else:
            left = passed / max(1, self.done - self.reused) * (self.cells - self.done)
            time_words = f"about {_span(max(left, 1))} left"
        return f"{self.done} of {self.cells} cells done{self._failures}, {time_words}."

    def _start_bar(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(
            TextColumn("replications x scenarios"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[failures]}"),
            TextColumn("after"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("cells", total=self.cells, completed=self.done, failures="")
        self._bar.start()


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
