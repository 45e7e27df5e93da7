"""The workers that pack chunks of images side by side: threads for a few images, processes for many.

A decoder that crashes takes only its own process down. Its chunk is done again, each image in a process of its own, and the one
that crashes that too is named.
"""

import contextlib
import json
import queue
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from nevus.data.packer import READY, Entry, Packer
from nevus.errors import NevusError
from nevus.processors import num_processors

# From how many images on processes are worth their start, about half a second each.
MANY = 256
CRASHED = "the decoder crashed"

Chunk = list[int]
# From paths to their entries in the pack.
Worker = Callable[[Sequence[str]], list[Entry]]


def work(
    chunks: Sequence[Chunk], paths: Sequence[Path], short_side: int, part: Path, lock: int
) -> Iterator[tuple[Chunk, list[Entry]]]:
    """Pack chunks of row numbers into the file `part`, as many at once as there are processors; yielded as they are finished.

    `lock` is a file descriptor that the processes keep open: what it locks stays locked until the last of them has ended.
    """
    num_workers = min(num_processors(), len(chunks))
    many = sum(map(len, chunks)) >= MANY
    hire = partial(_Process, part, short_side, lock) if many else partial(_Thread, part, short_side)
    waiting: queue.SimpleQueue[Chunk] = queue.SimpleQueue()
    finished: queue.SimpleQueue[tuple[Chunk, list[Entry]] | BaseException] = queue.SimpleQueue()
    stop = threading.Event()
    for chunk in chunks:
        waiting.put(chunk)

    def serve() -> None:
        try:
            with hire() as worker:
                while not stop.is_set():
                    chunk = waiting.get_nowait()
                    finished.put((chunk, worker([str(paths[row]) for row in chunk])))
        except queue.Empty:
            pass
        except BaseException as error:
            finished.put(error)

    threads = [threading.Thread(target=serve, name=f"packer-{number}") for number in range(num_workers)]
    for thread in threads:
        thread.start()
    try:
        for _ in chunks:
            answer = finished.get()
            if isinstance(answer, BaseException):
                raise answer
            yield answer
    finally:
        stop.set()
        for thread in threads:
            thread.join()


class _Thread:
    """Packs in this process: decoders release the interpreter lock."""

    def __init__(self, part: Path, short_side: int) -> None:
        self._packer = Packer(part, short_side)

    def __enter__(self) -> Worker:
        return self._packer

    def __exit__(self, *_: object) -> None:
        self._packer.close()


class _Process:
    """Packs in a process of its own, and in a new one where that one died."""

    def __init__(self, part: Path, short_side: int, lock: int) -> None:
        self._command = [sys.executable, "-m", "nevus.data.packer", str(part), str(short_side)]
        self._lock = lock
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Worker:
        return self._pack

    def __exit__(self, *_: object) -> None:
        self._end()

    def _pack(self, paths: Sequence[str]) -> list[Entry]:
        answer = self._ask(paths)
        if answer is not None:
            return answer
        how = self._end()
        if len(paths) > 1:
            return [entry for path in paths for entry in self._pack([path])]
        reason = f"{paths[0]}: {CRASHED} ({how}). Copy the image again from its source."
        return [(0, 0, 0, 0, reason)]

    def _ask(self, paths: Sequence[str]) -> list[Entry] | None:
        """The answer of the process, or None where it died over the question."""
        process = self._process or self._start()
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(json.dumps(paths) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            return None
        if not line.endswith("\n"):
            return None
        answer = json.loads(line)
        if isinstance(answer, dict):
            if not answer["errno"]:
                raise NevusError(answer["error"])
            raise OSError(answer["errno"], answer["error"])
        return [tuple(entry) for entry in answer]

    def _start(self) -> "subprocess.Popen[str]":
        """A process that has said it is ready: one that cannot even start must not pass for a crashed decoder."""
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            self._command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, pass_fds=(self._lock,)
        )
        if not self._process.stdout or self._process.stdout.readline() != READY:
            raise NevusError(f"a packing process cannot start ({self._end()}). See what says: {shlex.join(self._command)}")
        return self._process

    def _end(self) -> str:
        """End the process, and say how it ended."""
        if self._process is None:
            return "not started"
        with self._process as process:
            if process.stdin:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
            code = process.wait()
        self._process = None
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
