"""The figures of all combinations of some factors, and what each factor is worth: paired, over the same resampled groups."""

import itertools
from typing import Any

import numpy as np

from nevus.data.splits import label
from nevus.evaluation.evaluate import group_indices, judge
from nevus.evaluation.figures import overall, value
from nevus.evaluation.operating_point import operating_point
from nevus.evaluation.predictions import Predictions
from nevus.metrics.bootstrap import percentile_interval, resample
from nevus.metrics.comparison import effect

FIGURES = ("balanced_accuracy", "auc", "macro_auc", "accuracy", "recall_sd")
NUM_RESAMPLES = 1000


def summarise(tables: dict[str, Predictions], factors: list[str]) -> dict[str, Any]:
    """Figures of each combination with intervals, and each factor's effects with intervals and p.

    `tables` are named for the factors that a combination has, joined by " + ", "none" for none; all test the same images. Not
    every combination has to be there: an effect is averaged over the pairs that are, where they are several.
    """
    first = next(iter(tables.values()))
    tests = {name: table.test.sort_values("image_id", ignore_index=True) for name, table in tables.items()}
    images = tests[next(iter(tests))][["image_id", "target", "group_id"]]
    assert all(test[["image_id", "target", "group_id"]].equals(images) for test in tests.values()), "other images"
    groups, num_groups, _ = group_indices(images)
    figures, values = {}, {}
    for name, table in tables.items():
        judged = judge(table, tests[name], operating_point(table, "youden", None))
        found = overall(judged)
        chosen = [figure for figure in FIGURES if figure in found]  # auc of two classes, macro_auc of more
        figures |= {(name, figure): found[figure] for figure in chosen}
        values |= {(name, figure): value(found[figure], len(images)) for figure in chosen}
    drawn = resample(figures, groups, judged.targets, num_resamples=NUM_RESAMPLES)
    cells = {}
    for name in tables:
        cells[name] = {}
        for figure in chosen:
            interval = percentile_interval(drawn[name, figure], NUM_RESAMPLES)
            cells[name][figure] = {"value": values[name, figure], "low": interval.low, "high": interval.high}
    effects: dict[str, dict[str, Any]] = {}
    for factor in factors:
        there = [pair for pair in pairs_of(factor, factors) if set(pair) <= set(tables)]
        kinds = {"from the full system": there[:1], "averaged": there if len(there) > 1 else []}
        effects[factor] = {
            kind: {
                figure: vars(
                    effect(
                        float(np.mean([values[on, figure] - values[off, figure] for on, off in pairs])),
                        np.mean([drawn[on, figure] - drawn[off, figure] for on, off in pairs], axis=0),
                        NUM_RESAMPLES,
                    )
                )
                for figure in chosen
            }
            for kind, pairs in kinds.items()
            if pairs
        }
    return {
        "protocol": first.protocol,
        "num_images": len(images),
        "num_groups": num_groups,
        "num_resamples": NUM_RESAMPLES,
        "cells": cells,
        "effects": effects,
    }


def pairs_of(factor: str, factors: list[str]) -> list[tuple[str, str]]:
    """The combinations with and without a factor, all else equal; the full system's pair is the first.

    >>> pairs_of("b", ["a", "b"])
    [('a + b', 'a'), ('b', 'none')]
    """
    others = [name for name in factors if name != factor]
    pairs = []
    for there in itertools.product((1, 0), repeat=len(others)):
        kept = set(itertools.compress(others, there))
        on = " + ".join(name for name in factors if name in kept or name == factor)
        pairs.append((on, " + ".join(name for name in factors if name in kept) or "none"))
    return pairs


def render(protocol: str, document: dict[str, Any]) -> str:
    """Both tables as Markdown."""
    names = list(next(iter(document["cells"].values())))
    words = [name.replace("_", " ") for name in names]
    lines = [
        f"`{label(protocol)}`: {document['num_images']:,} test images in {document['num_groups']:,} groups",
        "",
        f"| combination | {' | '.join(words)} |",
        "|---" * (len(names) + 1) + "|",
    ]
    for name, row in document["cells"].items():
        shown = [f"{row[f]['value']:.3f} [{row[f]['low']:.3f}, {row[f]['high']:.3f}]" for f in names]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    lines += ["", f"| effect of | {' | '.join(words)} |", "|---" * (len(names) + 1) + "|"]
    for factor, kinds in document["effects"].items():
        for kind, row in kinds.items():
            shown = [
                f"{row[f]['value']:+.3f} [{row[f]['low']:+.3f}, {row[f]['high']:+.3f}], p {probability(row[f]['p'])}"
                for f in names
            ]
            lines.append(f"| {factor}, {kind} | {' | '.join(shown)} |")
    return "\n".join(lines)


def probability(p: float) -> str:
    """A p as it is printed; the smallest that the resamples can tell is a bound."""
    smallest = 2 / (NUM_RESAMPLES + 1)
    return f"≤ {smallest:.3f}" if p <= smallest * 1.0001 else f"{p:.3f}"
