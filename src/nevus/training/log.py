"""A log of JSON lines that a killed and resumed run continues without a line twice, and live progress for people."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from nevus.files import write, writing

Event = dict[str, Any]
Report = Callable[[Event], None]

_MINUTE = 60.0


class Log:
    """`log.jsonl` of one fold; every event is also passed to `report`. Of several processes only the main one `writes`."""

    def __init__(self, path: Path, report: Report, writes: bool = True) -> None:
        self._path = path
        self._report = report
        self._writes = writes
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)

    def write(self, event: Event) -> None:
        """Append one event."""
        if self._writes:
            with writing(self._path), self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(event) + "\n")
        self._report(event)

    def rewind(self, step: int) -> None:
        """Forget what was logged after `step`: those steps are about to be done again."""
        if not self._writes or not self._path.exists():
            return
        kept = []
        for line in self._path.read_text(encoding="utf-8").splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                break  # the kill cut this line
            if event["step"] <= step:
                kept.append(line + "\n")
        write(self._path, "".join(kept))


class LiveProgress:
    """Rate, loss, AUC and time left on standard error: one moving line on a terminal; elsewhere a line an epoch and a minute."""

    def __init__(self, title: str, batch_size: int) -> None:
        self._title = title
        self._batch_size = batch_size
        self._console = Console(stderr=True)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._auc = "AUC –"
        self._first: tuple[int, float] | None = None
        self._said = time.monotonic()

    def __enter__(self) -> "LiveProgress":
        if self._console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[figures]}"), TimeRemainingColumn())
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, event: Event) -> None:
        """Show one event of the loop."""
        if event["kind"] == "epoch":
            text = f"{self._title} epoch {event['epoch']}: loss {event['train_loss']:.4f}, "
            if "validation_loss" in event:  # of rows that there need not be
                self._auc = f"AUC {event['validation_auc']:.3f}"
                recall = f"balanced accuracy {event['validation_balanced_accuracy']:.3f}"
                text += f"validation loss {event['validation_loss']:.4f}, {self._auc}, {recall}, "
            text += f"{event['images_per_second']:.0f} images/s{' *' if event['best'] else ''}"
            if self._bar:
                self._console.print(text, highlight=False)
            else:
                print(text, file=sys.stderr, flush=True)
        elif event["kind"] == "step":
            self._advance(event)

    def _advance(self, event: Event) -> None:
        now = time.monotonic()
        self._first = self._first or (event["step"], now)
        steps, seconds = event["step"] - self._first[0], now - self._first[1]
        rate = steps * self._batch_size / seconds if seconds > 0 else 0.0
        figures = f"{rate:.0f} images/s  loss {event['loss']:.4f}  {self._auc}"
        if self._bar:
            if self._task is None:
                self._task = self._bar.add_task(self._title, total=event["of"], figures="")
            self._bar.update(self._task, completed=event["step"], figures=figures)
        elif steps and now - self._said >= _MINUTE:
            self._said, left = now, (event["of"] - event["step"]) * seconds / steps
            where = f"{self._title} epoch {event['epoch']}, step {event['step']} of {event['of']}"
            print(f"{where}: {figures}  {left / _MINUTE:.0f} min left at most", file=sys.stderr, flush=True)
