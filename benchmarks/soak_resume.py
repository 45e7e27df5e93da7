"""Claim: killed with SIGKILL at twenty random moments, a cross-validation ends with the weights of one that never was.

Takes about ten minutes. Exits with 1 and the seed where a byte differs.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from nevus.data.phantom import write_phantoms
from nevus.files import sha256

RECIPE = """
name = "soak"
[data]
task = "malignant"
num_folds = 2
size = 64
[model]
backbone = "resnet10t"
attention = { kind = "zoom_se" }
fusion = { kind = "multiply" }
dropout = 0.2
[training]
epochs = 6
batch_size = 16
precision = "float32"
ema = 0.9
checkpoint_steps = 3
"""
KILLS = 20


def main() -> None:
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(1_000_000)
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest = write_phantoms(folder / "phantoms", num_lesions=120)
        (folder / "soak.toml").write_text(RECIPE, encoding="utf-8")
        # Bit for bit is promised of one thread: with more, sums run in an order that is not fixed.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "NEVUS_CACHE": str(folder / "packs")}

        def start(out: str) -> "subprocess.Popen[bytes]":
            words = [sys.executable, "-m", "nevus", "cross-validate", str(folder / "soak.toml"), "--out", str(folder / out)]
            quiet = subprocess.DEVNULL
            return subprocess.Popen([*words, "--manifest", str(manifest)], env=environment, stdout=quiet, stderr=quiet)

        assert start("whole").wait() == 0
        kills = 0
        while True:
            process = start("killed")
            try:
                process.wait(timeout=rng.uniform(3, 12) if kills < KILLS else None)
                break
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
        assert process.returncode == 0
        names = ["predictions.csv", *(f"fold-{fold}/bundle/weights.safetensors" for fold in (0, 1))]
        different = [name for name in names if sha256(folder / "whole" / name) != sha256(folder / "killed" / name)]
    print(f"seed {seed}: {kills} kills, {len(different)} of {len(names)} files differ {different or ''}")
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
