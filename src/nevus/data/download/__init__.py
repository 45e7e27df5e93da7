"""Fetch a public data set: size, licence and citation first, every file checked, an interruption costs nothing.

The archives are spoken to directly and with the standard library alone, for four reasons: a part of a file goes on, sizes and
published checksums are compared before a file takes its name, each image's own licence is known before it is fetched, and a
server on this machine can stand in for every one of them in the tests.
"""

import contextlib
import fcntl
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from nevus.data.download.catalogue import SOURCES, Provider, Source, choose, choose_licenses, describe
from nevus.data.download.plan import Plan
from nevus.data.download.pool import Progress
from nevus.data.download.run import ENDPOINTS, Downloaded, Run
from nevus.data.download.web import Patience
from nevus.errors import DataError
from nevus.files import writing

__all__ = ["SOURCES", "Downloaded", "Patience", "Plan", "Source", "choose", "describe", "download"]

_LOG = logging.getLogger("nevus")


def download(
    name: str,
    out: Path | str,
    *,
    licenses: Sequence[str] | None = None,
    have: Sequence[Path | str] = (),
    max_images: int | None = None,
    confirm: Callable[[Plan], bool] | None = None,
    progress: Progress | None = None,
    endpoints: Mapping[Provider, str] | None = None,
    patience: Patience | None = None,
) -> Downloaded | None:
    """Fetch the data set `name` into the folder `out`; called again, it goes on where it stopped.

    Parameters
    ----------
    name
        One of `SOURCES`.
    out
        Gets `images/`, the tables, `checksums.sha256` and `download.json`.
    licenses
        Only images under these: "CC-0", "CC-BY", "CC-BY-NC".
    have
        Folders whose images need not be fetched: they are matched by id, and by size where the source gives it.
    max_images
        Fetch this many images only; for sources that come image by image.
    confirm
        Called with the `Plan` before anything but lists and tables of labels is fetched; False ends it.
    progress
        Called with (files done, files in all, bytes come), from several threads but never at once.
    endpoints, patience
        Other servers and other waits than the usual ones.

    Returns
    -------
    Downloaded, or None where `confirm` said no.

    Raises
    ------
    DataError
        No such source or licence, too little room, or files that are not what the source publishes; each is named.
    NotAvailableError
        A login or a form stands before it, or it is gone; the message says what to do.
    NevusError
        The network failed too often or the disk is full; what has come stays.
    """
    source = choose(name)
    chosen = choose_licenses(source, licenses)
    if max_images is not None and (source.provider != "isic" or max_images < 1):
        by_image = ", ".join(other.name for other in SOURCES.values() if other.provider == "isic")
        raise DataError(f"--max-images {max_images}: a number above 0, for sources that come image by image: {by_image}.")
    out = Path(out).absolute()
    with _alone(out):
        return Run(source, out, chosen, max_images, progress, {**ENDPOINTS, **(endpoints or {})}, patience).run(
            [Path(folder) for folder in have], confirm
        )


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Two runs on one folder do the work once: the second waits, and finds what the first has fetched."""
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        lock = (out / ".download.lock").open("a")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _LOG.warning("%s: another download is filling this folder; waiting for it.", out)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
