"""One system under one protocol, in a process of its own: `python -m nevus.reproduce.job FOLDER`.

A network that the system needs too much memory for, or that cannot be built, is then one row that failed, and not the end of the
grid. The folder holds `job.json`, what to run, and becomes the run's folder; `outcome.json` says how it ended.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nevus.errors import DataError, NevusError, RecipeError
from nevus.files import write_json
from nevus.recipe import Recipe

DONE, REFUSED, FAILED = "done", "refused", "failed"
# How a network's refusal of soft attention on a map of one pixel says so.
_ONE_PIXEL = ("1x1", "1×1")
_MODELS = ("weights.safetensors", "novelty.safetensors", "model.onnx")


@dataclass(frozen=True)
class Job:
    """What to run where. `folds` are the only ones to run, None for all.

    `one_pixel` says that the network is to be refused, its attention having a map of 1×1 to look at. The network's facts are
    taken at `size`, the paper's input in pixels, whatever the recipe's is.

    Without `keep_models` the trained weights are removed once they have been tested.
    """

    system: str
    protocol: str
    folder: Path
    recipe: Recipe
    manifest_sha256: str
    size: int
    folds: tuple[int, ...] | None = None
    one_pixel: bool = False
    keep_models: bool = True

    def write(self) -> None:
        """Write `job.json`."""
        document = {
            "recipe": self.recipe.model_dump(mode="json"),
            "manifest_sha256": self.manifest_sha256,
            "size": self.size,
            "folds": self.folds,
            "one_pixel": self.one_pixel,
            "keep_models": self.keep_models,
        }
        write_json(self.folder / "job.json", document)

    def outcome(self) -> "Outcome | None":
        """How the job ended, None where it has not, or where what is there is of another recipe or other data."""
        path = self.folder / "outcome.json"
        if not path.exists():
            return None
        document = json.loads(path.read_text(encoding="utf-8"))
        claim = [self.recipe.model_dump(mode="json"), self.manifest_sha256]
        return Outcome(**document["outcome"]) if document["claim"] == claim else None

    def evaluation(self) -> dict[str, Any]:
        """The run's evaluation."""
        return dict(json.loads((self.folder / "evaluation.json").read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Outcome:
    """How a job ended: "done", "refused" or "failed" with the reason, and the network's facts as far as it was built."""

    status: str
    reason: str
    facts: dict[str, float]


def start_job(folder: Path, num_threads: int) -> "subprocess.Popen[bytes]":
    """Start the job of a folder in a process of its own, which ends where this one does; its words go to `job.log` beside it."""
    (folder / "outcome.json").unlink(missing_ok=True)
    command = [sys.executable, "-m", "nevus.reproduce.job", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(num_threads))}
    with (folder / "job.log").open("wb") as log:
        # Nothing is ever written to the pipe: the child sees it close when this process ends, however it ends.
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment)


def finish_job(folder: Path, process: "subprocess.Popen[bytes]") -> None:
    """Wait for a job's process; where it died without a word, `outcome.json` says so."""
    code = process.wait()
    assert process.stdin
    process.stdin.close()
    if not (folder / "outcome.json").exists():
        ended = f"its process was ended by signal {-code}" if code < 0 else f"its process ended with code {code}"
        words = (folder / "job.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        _end(folder, Outcome(FAILED, f"{ended}; the last line of {folder / 'job.log'}: {words[-1] if words else 'none'}", {}))


def run_job(folder: Path, num_threads: int) -> None:
    """Start the job of a folder and wait for it."""
    finish_job(folder, start_job(folder, num_threads))


def _run(folder: Path) -> Outcome:
    """Train and test; what is finished in the folder is kept."""
    from nevus.data.manifest import Manifest
    from nevus.evaluation.cross_validate import cross_validate

    document = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    recipe = Recipe.model_validate(document["recipe"])
    facts: dict[str, float] = {}
    try:
        manifest = Manifest.read(Path(recipe.data.manifest))
        if manifest.sha256 != document["manifest_sha256"]:
            raise DataError(f"{manifest.path}: has changed since the grid began. Start it again.")
        facts = _facts(recipe.with_settings([f"data.size={document['size']}"]), manifest.for_task(recipe.data.task)[1])
        evaluation = cross_validate(recipe, manifest, folder, only=document["folds"])
    except RecipeError as error:
        refused = document["one_pixel"] and any(words in str(error) for words in _ONE_PIXEL)
        return Outcome(REFUSED if refused else FAILED, str(error), facts)
    except NevusError as error:
        return Outcome(FAILED, str(error), facts)
    if not document["keep_models"]:
        for name in _MODELS:
            for path in folder.glob(f"fold-*/bundle/{name}"):
                path.unlink()
    num_epochs = sum(_num_epochs(path) for path in folder.glob("fold-*/log.jsonl"))
    facts["seconds_per_epoch"] = evaluation["provenance"]["training_seconds"] / max(1, num_epochs)
    return Outcome(DONE, "", facts)


def _facts(recipe: Recipe, classes: Sequence[str]) -> dict[str, float]:
    """Of the network without its weights' memory: its size does not depend on them."""
    import torch

    from nevus.reproduce.sizes import sizes_of
    from nevus.training.run import create_network

    with torch.device("meta"):
        return sizes_of(create_network(recipe.with_settings(["model.pretrained=none"]), classes))


def _num_epochs(log: Path) -> int:
    events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return len({event["epoch"] for event in events})


def _end(folder: Path, outcome: Outcome) -> None:
    document = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    claim = [document["recipe"], document["manifest_sha256"]]
    write_json(folder / "outcome.json", {"claim": claim, "outcome": asdict(outcome)})


def _end_with_parent() -> None:
    os.read(0, 1)  # not through sys.stdin, whose lock a thread would still hold when the interpreter ends
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _end(Path(sys.argv[1]), _run(Path(sys.argv[1])))
