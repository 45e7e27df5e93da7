"""Runs told from the first one on their validation rows, which choose, and never on their test rows, which measure.

    python experiments/validation.py runs/one runs/other --folds 0 1

Each run decides by its own rule, and all have the same folds. An image may be a validation row of several folds, and then counts
once in each; intervals are of bootstrap draws of whole groups, paired.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from nevus.evaluation.compare import compare
from nevus.evaluation.predictions import Predictions
from nevus.evaluation.tested_run import run_predictions

FIGURES = ("macro_auc", "auc", "balanced_accuracy", "brier")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path)
    parser.add_argument("others", type=Path, nargs="+")
    parser.add_argument("--folds", type=int, nargs="+", required=True)
    words = parser.parse_args()
    print(table([words.first, *words.others], words.folds))


def table(runs: Sequence[Path], folds: Sequence[int]) -> str:
    """A row a run: each figure, and its difference to the first run's."""
    first, *others = [validation_rows(run, folds) for run in runs]
    documents = [compare(first, other) for other in others]
    figures = [name for name in FIGURES if name in documents[0]["differences"]]
    start = [f"{documents[0]['differences'][name]['first']:.4f}" for name in figures]
    lines = [f"| run | {' | '.join(figures)} |", f"|{'---|' * (1 + len(figures))}", f"| {runs[0]} | {' | '.join(start)} |"]
    for run, document in zip(runs[1:], documents, strict=True):
        found = [document["differences"][name] for name in figures]
        cells = [f"{part['second']:.4f} ({part['value']:+.4f} [{part['low']:+.4f}, {part['high']:+.4f}])" for part in found]
        lines.append(f"| {run} | {' | '.join(cells)} |")
    return "\n".join([*lines, f"{documents[0]['num_images']} rows of {documents[0]['num_groups']} groups."])


def validation_rows(run: Path, folds: Sequence[int]) -> Predictions:
    """A run's predictions with its validation rows where the test rows are."""
    predictions = run_predictions(run)
    rows = predictions.validation
    rows = rows[rows["fold"].isin(folds)]
    shown = rows.assign(split="test", image_id=rows["fold"].astype(str) + "/" + rows["image_id"])
    return replace(predictions, frame=pd.concat([rows, shown], ignore_index=True))


if __name__ == "__main__":
    main()
