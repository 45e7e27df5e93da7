"""Claim: answering for a folder runs at 90% or more of 1 / (1/d + 1/s), d and s being decoder and session alone on its cores.

The decoder is `read_reduced` in a pool of threads, the session ONNX Runtime with all cores for each run, on the very arrays that
the predictor gives it. What the predictor adds is everything else: what lies between the two, the decisions, the sets, and the
file. What it saves is that one core waits for another: each runs the graph for photos of its own.
"""

import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from nevus.data.cases import Case
from nevus.data.images import read_reduced
from nevus.predictor import Predictor
from nevus.predictor.answer_file import write_answers
from nevus.predictor.shipped import shipped_bundle
from nevus.predictor.stream import BATCH_SIZE
from photographs import write_jpegs
from result import conclude, finish, rates, show

NUM_IMAGES, COPIES, ROUNDS = 128, 4, 3


class Recorder:
    """A session that keeps what it was asked."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.asked: list[tuple[Sequence[str], dict[str, Any]]] = []

    def run(self, names: Sequence[str], given: dict[str, Any]) -> Any:
        """Keep the question and pass it on."""
        self.asked.append((names, given))
        return self.session.run(names, given)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        predictor, alone = Predictor(shipped_bundle(), many=True), Predictor(shipped_bundle())
        paths, origin = write_jpegs(Path(folder) / "images", NUM_IMAGES, COPIES)
        cases, answers = [Case(path) for path in paths], Path(folder) / "answers"
        recorder = Recorder(alone._session)
        alone._session = recorder
        alone.predict(paths[:BATCH_SIZE])

        def ours() -> None:
            write_answers(predictor, cases, answers / "answers.csv", {})

        def decoder() -> None:
            with ThreadPoolExecutor() as pool:
                for _ in pool.map(lambda path: read_reduced(path, predictor.side), paths):
                    pass

        def session() -> None:
            for _ in range(0, len(paths), BATCH_SIZE):
                for names, given in recorder.asked:
                    recorder.session.run(names, given)

        contenders = {name: (len(paths), call) for name, call in (("folder", ours), ("decoder", decoder), ("session", session))}
        measured = rates(contenders, ROUNDS, lambda: shutil.rmtree(answers, ignore_errors=True))
    measured["one after the other"] = 1 / (1 / measured["decoder"] + 1 / measured["session"])
    show(f"a folder of {len(paths)} JPEGs, {origin}, the shipped model", "images/s", measured)
    conclude("predict_folder", measured, ours="folder", peer="one after the other", bar=0.9, unit="images/s")
    finish()


if __name__ == "__main__":
    main()
