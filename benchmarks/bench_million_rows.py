"""Claim: a million rows are read, checked, grouped, hashed and split strictly into five folds in under 10 s and 2 GiB.

The rows are generated in two shapes: as ISIC-2024's, where some 2,600 patients hold all images, and as an archive of lesions,
most of them single images. Each measurement is a process of its own, timed from after its imports. The peer reads the same CSV
with pandas and splits it with scikit-learn's StratifiedGroupKFold by patient: no check, no hash, no groups by lesion. Its time
grows with the number of groups, so on the lesions it gets a tenth of the rows, and so do we beside it.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from result import ROUNDS, conclude, finish, show

NUM_ROWS, NUM_PATIENTS, NUM_FOLDS = 1_000_000, 2_600, 5
LIMIT_S, LIMIT_MIB = 10, 2048
WHO = {"ours": "nevus", "theirs": "pandas + scikit-learn"}


def generate(shape: str, num_rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    numbers = pd.Series(rng.permutation(9_999_999)[:num_rows]).astype(str).str.zfill(7)
    frame = pd.DataFrame({"image_id": "ISIC_" + numbers})
    frame["path"] = "images-" + pd.Series(rng.integers(0, 8, num_rows)).astype(str) + "/" + frame["image_id"] + ".jpg"
    malignant = rng.random(num_rows) < 0.001
    frame["dataset"], frame["license"], frame["attribution"] = "isic-archive", "CC-BY", "Memorial Sloan Kettering Cancer Center"
    frame["diagnosis"] = np.where(malignant, rng.choice(["mel", "bcc", "akiec"], num_rows), rng.choice(["nv", ""], num_rows))
    frame["target"] = np.where(malignant, "1", "0")
    # A few patients have thousands of images, most have tens; two images a lesion are as rare as in the archive.
    patients = pd.Series((NUM_PATIENTS * rng.random(num_rows) ** 3).astype(int)).astype(str)
    lesions = pd.Series(rng.integers(0, 2 * num_rows, num_rows)).astype(str).str.zfill(7)
    frame["patient_id"] = "IP_" + patients if shape == "patients" else ""
    frame["lesion_id"] = "IL_" + lesions if shape == "lesions" else ""
    frame["age_years"] = np.where(rng.random(num_rows) < 0.02, "", pd.Series(5 * rng.integers(1, 18, num_rows)).astype(str))
    frame["sex"] = rng.choice(["male", "female", ""], num_rows)
    frame["site"] = rng.choice(["torso", "head/neck", "lower extremity", ""], num_rows)
    return frame


def ours(path: Path) -> None:
    from nevus.data.manifest import Manifest
    from nevus.data.splits import split

    started = time.perf_counter()
    manifest = Manifest.read(path, check_files=False)
    folds = split(manifest, task="malignant", num_folds=NUM_FOLDS)
    report(started, len(folds.frame))


def theirs(path: Path) -> None:
    from sklearn.model_selection import StratifiedGroupKFold

    started = time.perf_counter()
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    groups = table["patient_id"].where(table["patient_id"] != "", table["lesion_id"])
    num_tested = sum(len(test) for _, test in StratifiedGroupKFold(NUM_FOLDS).split(table, table["target"], groups))
    report(started, num_tested)


def report(started: float, num_rows: int) -> None:
    seconds = time.perf_counter() - started
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(json.dumps({"seconds": seconds, "mib": int(peak.split()[1]) / 1024, "num_rows": num_rows}))


def measured(runs: list[tuple[str, Path]]) -> dict[tuple[str, Path], dict[str, float]]:
    """Median seconds and largest MiB of each run, in interleaved rounds."""
    found: dict[tuple[str, Path], list[dict[str, float]]] = {run: [] for run in runs}
    for _ in range(ROUNDS):
        for who, path in runs:
            command = [sys.executable, __file__, who, str(path)]
            found[who, path].append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    return {
        run: {
            "seconds": float(np.median([one["seconds"] for one in each])),
            "mib": max(one["mib"] for one in each),
        }
        for run, each in found.items()
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for shape, num_rows in (("patients", NUM_ROWS), ("lesions", NUM_ROWS), ("lesions-tenth", NUM_ROWS // 10)):
            frame = generate(shape.split("-")[0], num_rows)
            frame.to_csv(folder / f"{shape}.csv", index=False)
            frame.to_parquet(folder / f"{shape}.parquet", index=False)
        large = [folder / f"{shape}.{kind}" for shape in ("patients", "lesions") for kind in ("csv", "parquet")]
        tenth = folder / "lesions-tenth.csv"
        results = measured([("ours", path) for path in (*large, tenth)] + [("theirs", large[0])])
        theirs_tenth = json.loads(subprocess.check_output([sys.executable, __file__, "theirs", str(tenth)]))
    seconds = {f"{WHO[who]}, {path.name}": result["seconds"] for (who, path), result in results.items()}
    seconds[f"{WHO['theirs']}, {tenth.name}, one run"] = theirs_tenth["seconds"]
    memory = {f"{WHO[who]}, {path.name}": result["mib"] for (who, path), result in results.items()}
    show("a million rows, a tenth where the name says so", "seconds, medians", seconds)
    show("a million rows, a tenth where the name says so", "MiB resident, largest", memory)
    slowest = max(results["ours", path]["seconds"] for path in large)
    bar_s, bar_mib = f"{LIMIT_S} s", f"{LIMIT_MIB} MiB"
    seconds |= {"slowest": slowest, bar_s: LIMIT_S}
    memory |= {"largest": max(results["ours", path]["mib"] for path in large), bar_mib: LIMIT_MIB}
    conclude("million_rows", seconds, ours="slowest", peer=bar_s, bar=1, unit="s", lower_is_better=True)
    conclude("million_rows_memory", memory, ours="largest", peer=bar_mib, bar=1, unit="MiB", lower_is_better=True)
    same = [f"{WHO[who]}, {large[0].name}" for who in ("ours", "theirs")]
    conclude("million_rows_peer", seconds, ours=same[0], peer=same[1], bar=1, unit="s", lower_is_better=True)
    finish()


if __name__ == "__main__":
    if len(sys.argv) == 3:
        {"ours": ours, "theirs": theirs}[sys.argv[1]](Path(sys.argv[2]))
    else:
        main()
