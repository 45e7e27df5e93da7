"""Many small files side by side."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from nevus.data.download.listing import Remote
from nevus.data.download.transfer import fetch
from nevus.data.download.web import Session, StoppedError
from nevus.errors import DataError, NotAvailableError, listed

Progress = Callable[[int, int, int], None]
NUM_WORKERS = 8
# Single images may be missing or wrong; this many are no accident.
_MOST_FAULTS = 20


class Meter:
    """Counts files and bytes for all threads and tells `progress(done, all, bytes)`."""

    def __init__(self, num_files: int, progress: Progress | None) -> None:
        self.num_files, self._progress = num_files, progress
        self.num_done = self.num_bytes = 0
        self._lock = threading.Lock()

    def add_bytes(self, num_bytes: int) -> None:
        """Some bytes came."""
        self._add(0, num_bytes)

    def add_file(self) -> None:
        """A file is whole."""
        self._add(1, 0)

    def _add(self, num_files: int, num_bytes: int) -> None:
        with self._lock:
            self.num_done += num_files
            self.num_bytes += num_bytes
            if self._progress:
                self._progress(self.num_done, self.num_files, self.num_bytes)


def fetch_all(remotes: Sequence[Remote], out: Path, session: Session, meter: Meter) -> dict[str, str]:
    """Fetch files to `out / name`, eight at a time, and return the SHA-256 of each by name.

    Single files that are missing or wrong are passed over and named at the end; whatever else goes wrong ends all.

    Raises
    ------
    DataError
        Names the files that did not come; the others are in their places.
    """
    digests, faults = {}, []
    with ThreadPoolExecutor(NUM_WORKERS) as pool:
        waiting = {pool.submit(fetch, remote, out / remote.name, session): remote.name for remote in remotes}
        try:
            for done in as_completed(waiting):
                try:
                    digests[waiting[done]] = done.result()
                    meter.add_file()
                except (DataError, NotAvailableError) as error:
                    faults.append(str(error))
                    if len(faults) >= _MOST_FAULTS:
                        break
                except StoppedError:
                    continue
        finally:
            # After an error, or Ctrl-C: the others end at their next bytes, and their parts stay.
            session.stop.set()
            pool.shutdown(cancel_futures=True)
            session.stop.clear()
    if faults:
        remedy = f"{len(digests)} of {len(remotes)} files came. Run it again to fetch the others."
        raise DataError(listed(f"{len(faults)} files did not come:", faults, remedy=remedy))
    return digests
