"""How far a long piece of work is, on standard error: one moving line on a terminal, elsewhere a line a minute."""

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

_MINUTE = 60.0


class CountProgress:
    """Called with (done, all); used in a `with` statement, so that the terminal is left as it was.

    >>> with CountProgress("packing", "images") as progress:
    ...     progress(1, 2)
    """

    def __init__(self, title: str, unit: str) -> None:
        self._title = title
        self._unit = unit
        self._console = Console(stderr=True)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._first: tuple[int, float] | None = None
        self._said = time.monotonic()

    def __enter__(self) -> "CountProgress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, done: int, of: int) -> None:
        """Show that `done` of all are done."""
        now = time.monotonic()
        self._first = self._first or (done, now)
        seconds = now - self._first[1]
        speed = (done - self._first[0]) / seconds if seconds > 0 else 0.0
        rate = f"{speed:.0f} {self._unit}/s"
        if self._console.is_terminal:
            bar = self._bar or self._start()
            if self._task is None:
                self._task = bar.add_task(self._title, total=of, rate="")
            bar.update(self._task, completed=done, total=of, rate=rate)
        elif speed and now - self._said >= _MINUTE:
            self._said = now
            left = (of - done) / speed / _MINUTE
            print(f"{self._title}: {done} of {of} {self._unit}, {rate}, {left:.0f} min left", file=sys.stderr, flush=True)

    def _start(self) -> Progress:
        """Only when there is something to show: questions may be asked before."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=self._console, transient=True)
        self._bar.start()
        return self._bar
