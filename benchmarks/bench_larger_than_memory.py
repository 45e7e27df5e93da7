"""Claim: a pack twice as large as the memory trains at the rate of one that fits, since it is read while the network works.

Runs of the training loop on one pack, every second one in a control group with half of the pack's size as its memory (page cache
included); it needs root. Each has read no part of the pack before: the cache is emptied in between. The two kinds take turns,
since a shared machine's speed drifts by more within minutes than they differ.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from result import conclude, finish, show

NUM_IMAGES, COPIES, NUM_STEPS, BATCH_SIZE, ROUNDS = 500, 32, 40, 16, 5
FREE, LIMITED = "with all of the memory", "with half of the pack's size"


def train(folder: Path) -> None:
    """Train some steps on random images of the whole pack, and print the log's last line."""
    import numpy as np
    import torch

    from nevus.data.images import pack_side
    from nevus.data.pack import pack_images
    from nevus.recipe import Recipe
    from nevus.training.hardware import keep_memory
    from nevus.training.loop import train as run
    from nevus.training.run import create_network
    from photographs import examples_of

    keep_memory()
    torch.set_num_threads(2)
    settings = ["model.backbone=mobilenetv3_large_100", f"training.batch_size={BATCH_SIZE}", "training.epochs=1"]
    recipe = Recipe(name="large").with_settings(settings)
    paths = sorted((folder / "images").iterdir())
    pack = pack_images(paths, pack_side(recipe.data.size), folder / "packs")
    os.posix_fadvise(os.open(pack.path, os.O_RDONLY), 0, 0, os.POSIX_FADV_DONTNEED)
    examples = examples_of(pack, recipe)
    rows = np.random.default_rng(0).permutation(len(paths))
    network = create_network(recipe, ("benign", "malignant"))
    with tempfile.TemporaryDirectory() as out:
        words = {"identity": "", "precision": "float32"}
        run(network, examples, rows[: NUM_STEPS * BATCH_SIZE], rows[-32:], recipe, Path(out), **words)
        print((Path(out) / "log.jsonl").read_text().splitlines()[-1])


@contextlib.contextmanager
def memory_limit(num_bytes: int) -> Iterator[Path]:
    """A control group of this much memory, version 1 or 2 of the kernel's interface; yields the file that takes process ids."""
    with tempfile.TemporaryDirectory() as mount:
        for words, limit in ((["cgroup", "-o", "memory"], "memory.limit_in_bytes"), (["cgroup2"], "memory.max")):
            if subprocess.run(["mount", "-t", words[0], *words[1:], "none", mount], capture_output=True).returncode:
                continue
            group = Path(mount) / f"nevus-{os.getpid()}"
            group.mkdir()
            try:
                if (group / limit).exists():
                    (group / limit).write_text(str(num_bytes))
                    yield group / "cgroup.procs"
                    return
            finally:
                group.rmdir()
                subprocess.run(["umount", mount], check=True)
    print("a control group with a memory limit cannot be made here: not measured")
    sys.exit(0)


def main() -> None:
    from nevus.data.images import pack_side
    from nevus.data.pack import pack_images
    from photographs import write_jpegs

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths, origin = write_jpegs(folder / "images", NUM_IMAGES, COPIES)
        pack = pack_images(sorted(paths), pack_side(224), folder / "packs")
        size = pack.path.stat().st_size
        del pack
        command = [sys.executable, __file__, str(folder)]
        logs: dict[str, list[dict]] = {FREE: [], LIMITED: []}
        with memory_limit(size // 2) as members:
            joins = {FREE: "", LIMITED: f"echo $$ > {members} && "}
            for number in range(ROUNDS):
                for label in (FREE, LIMITED) if number % 2 == 0 else (LIMITED, FREE):
                    shell = ["sh", "-c", f'{joins[label]}exec "$@"', "sh", *command]
                    done = subprocess.run(shell, check=True, stdout=subprocess.PIPE, text=True)
                    logs[label].append(json.loads(done.stdout))
        rates, waits = (
            {label: statistics.median(log[key] for log in runs) for label, runs in logs.items()}
            for key in ("images_per_second", "waited_for_data")
        )
        for label, runs in logs.items():
            print(f"{label}: " + ", ".join(f"{log['images_per_second']:.1f}" for log in runs) + " images/s")
    show(f"training MobileNetV3-Large at 224 from a pack of {size / 1e9:.1f} GB, {origin}", "images/s", rates)
    show("share of the time that steps waited for data", "of 1", waits)
    conclude("larger_than_memory", rates, ours=LIMITED, peer=FREE, bar=0.95, unit="images/s")
    finish()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        train(Path(sys.argv[1]))
    else:
        main()
