"""TensorBoard's event files, with its own writer: neither torch nor TensorFlow is needed."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nevus.errors import DataError
from nevus.files import writing
from nevus.reports.run import Run
from nevus.reports.tracking.figures import Tracked


def write_events(run: Run, tracked: Tracked, out: str) -> str:
    """Write `OUT/RUN` with the figures and `OUT/RUN/fold-K` with each fold's; the folder, in words.

    Raises
    ------
    DataError
        The folder is there already: a second export would draw every curve twice.
    """
    folder = Path(out) / tracked.name
    if folder.exists():
        raise DataError(f"{folder}: is there already. Remove it, or give another --out.")
    beside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.part")
    with writing(folder):
        try:
            _write(beside, tracked)
            beside.rename(folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return f"{folder}\nSee it with: tensorboard --logdir {out}"


def _write(folder: Path, tracked: Tracked) -> None:
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb
    from tensorboard.plugins.text.summary_v2 import text_pb

    with _writer(folder, tracked.time_seconds) as add:
        if tracked.settings:
            add(hparams_pb(tracked.settings, trial_id=tracked.name, start_time_secs=tracked.time_seconds), 0)
        origin = "\n".join(f"- {key}: `{value}`" for key, value in tracked.origin.items())
        add(text_pb("origin", origin), 0)
        for name, value in tracked.figures.items():
            add(_scalar(name, value), 0)
    for number, curves in tracked.folds.items():
        with _writer(folder / f"fold-{number}", tracked.time_seconds) as add:
            for name, points in curves.items():
                for step, value in points:
                    add(_scalar(name, value), step)


@contextmanager
def _writer(folder: Path, time_seconds: float) -> Iterator[Any]:
    """A function that adds a summary at a step to the one file of events in a folder."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder))
    try:
        yield lambda summary, step: writer.add_event(Event(wall_time=time_seconds, step=step, summary=summary))
    finally:
        writer.close()


def _scalar(name: str, value: float) -> Any:
    """A scalar of 32 bits, as everyone writes them: TensorBoard's fast loader, its default, does not show 64."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Summary(value=[Summary.Value(tag=name, simple_value=value)])
