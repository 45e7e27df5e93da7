"""Two predictions files side by side: the same images, the figures of each, a paired difference; and what is refused."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from command_line import nevus
from nevus.errors import DataError
from nevus.evaluation.compare import compare, comparison_table
from nevus.evaluation.evaluate import evaluate
from nevus.evaluation.predictions import Predictions

CLASSES = ("mel", "nv", "bkl")


def frame_of(skill: float, seed: int = 0, num_groups: int = 60) -> pd.DataFrame:
    """Answers about 120 images, two a group; the images are the same whatever the skill."""
    targets = np.repeat(np.arange(num_groups) % 3, 2)
    logits = np.random.default_rng([seed, 1]).normal(size=(len(targets), 3)) + skill * np.eye(3)[targets]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    table = pd.DataFrame({"image_id": [f"I{k:03}" for k in range(len(targets))], "target": np.array(CLASSES)[targets]})
    table["group_id"] = [f"L{k // 2}" for k in range(len(targets))]
    return table.assign(**{f"p_{name}": probabilities[:, index] for index, name in enumerate(CLASSES)})


def predictions(frame: pd.DataFrame, source: str = "a") -> Predictions:
    return Predictions.from_frame(frame, source)


def test_both_figures_are_those_of_evaluate_and_the_order_of_the_rows_does_not_matter() -> None:
    first, second = predictions(frame_of(0.5)), predictions(frame_of(1.5, seed=1).sample(frac=1, random_state=0))
    document = compare(first, second, num_resamples=200)
    for side, table in (("first", first), ("second", second)):
        figures = evaluate(table, num_resamples=10)["metrics"]
        for name in ("macro_auc", "balanced_accuracy", "accuracy", "recall_sd"):
            assert document["differences"][name][side] == pytest.approx(figures[name]["value"]), name
    found = document["differences"]["balanced_accuracy"]
    assert found["value"] == pytest.approx(found["second"] - found["first"])
    assert 0 < found["low"] < found["value"] < found["high"]
    assert found["p"] < 0.02
    assert document["num_groups"] == 60
    assert "60 groups" in found["method"]
    assert "balanced_accuracy" in comparison_table(document)


def test_the_difference_of_a_file_from_itself_is_nothing() -> None:
    table = predictions(frame_of(1.0))
    for found in compare(table, table, num_resamples=100)["differences"].values():
        assert (found["value"], found["low"], found["high"], found["p"]) == (0, 0, 0, 1)


def test_between_two_classes_without_a_threshold_only_scores_are_compared() -> None:
    frame = frame_of(1.0)
    two = frame[frame["target"] != "bkl"].drop(columns="p_bkl")
    two["p_nv"] = 1 - two["p_mel"]
    assert set(compare(predictions(two), predictions(two), num_resamples=50)["differences"]) == {"auc", "brier"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda frame: frame.iloc[1:], "I000: only in a"),
        (lambda frame: frame.replace({"image_id": {"I000": "I999"}}), "I999: only in b"),
        (lambda frame: frame.assign(target=frame["target"].where(frame["image_id"] != "I004", "mel")), "I004: 'bkl' and 'mel'"),
        (lambda frame: frame.rename(columns={"p_bkl": "p_df"}).replace({"target": {"bkl": "df"}}), "mel, nv, df"),
        (lambda frame: frame.assign(group_id=[f"L{k // 3}" for k in range(len(frame))]), "different groups"),
    ],
)
def test_files_about_other_images_are_refused(change: object, words: str) -> None:
    frame = frame_of(1.0)
    with pytest.raises(DataError, match=words):
        compare(predictions(frame, "a"), predictions(change(frame), "b"))  # type: ignore[operator]


def test_groups_that_one_file_names_serve_both_and_other_protocols_are_said() -> None:
    one = frame_of(1.0).assign(protocol="paper-zoome")
    other = frame_of(1.0, seed=1).drop(columns="group_id").assign(protocol="strict")
    document = compare(predictions(one), predictions(other), num_resamples=50)
    assert document["num_groups"] == 60
    assert "paper-zoome (optimistic) and strict" in document["notes"][0]


def test_the_verb_prints_and_writes_the_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for path, skill in zip(paths, (0.5, 1.5), strict=True):
        predictions(frame_of(skill)).write(path)
    code, out, _ = nevus(monkeypatch, capsys, "compare", *paths, "--out", tmp_path / "c.json", "--json")
    assert code == 0
    assert json.loads(out)["differences"] == json.loads((tmp_path / "c.json").read_text())["differences"]
    code, out, _ = nevus(monkeypatch, capsys, "compare", *paths)
    assert "p = " in out
    code, _, err = nevus(monkeypatch, capsys, "compare", paths[0], tmp_path / "none.csv")
    assert code == 2
    assert "none.csv" in err


def two_files(folder: Path) -> tuple[Path, Path]:
    """A weak and a better answer about 240 single images of two classes, with validation rows for their thresholds."""
    rng = np.random.default_rng(0)
    positives = np.arange(480) % 3 == 0
    paths = []
    for name, skill in (("weak", 0.5), ("better", 1.5)):
        scores = 1 / (1 + np.exp(-(rng.normal(0, 1, 480) + skill * (positives - 0.5))))
        table = pd.DataFrame({"image_id": [f"I{k}" for k in range(480)], "target": np.where(positives, "malignant", "benign")})
        table["split"] = np.where(np.arange(480) < 240, "test", "validation")
        table.assign(p_benign=1 - scores, p_malignant=scores).to_csv(folder / f"{name}.csv", index=False)
        paths.append(folder / f"{name}.csv")
    return paths[0], paths[1]


def test_a_difference_comes_with_its_classical_test_and_how_many_would_show_it(tmp_path: Path) -> None:
    first, second = two_files(tmp_path)
    differences = compare(first, second, num_resamples=200)["differences"]
    assert differences["auc"]["test"]["method"] == "DeLong's paired test"
    assert differences["accuracy"]["test"]["method"] == "McNemar's exact test"
    assert sum(differences["accuracy"]["test"]["only_first_only_second"]) > 0
    assert differences["brier"]["test"] is None
    assert differences["auc"]["groups_needed"] > 0


def test_a_margin_has_a_verdict_by_the_worst_that_the_interval_allows(tmp_path: Path) -> None:
    first, second = two_files(tmp_path)
    wide = compare(first, second, margin=0.9, num_resamples=200)["differences"]
    assert all(found["non_inferior"]["value"] for found in wide.values())
    narrow = compare(first, second, margin=1e-6, num_resamples=200)["differences"]
    for name, found in narrow.items():
        gain = (-found["high"], -found["low"]) if name in ("brier", "recall_sd") else (found["low"], found["high"])
        expected = True if gain[0] > -1e-6 else False if gain[1] < -1e-6 else None
        assert found["non_inferior"]["value"] is expected


@pytest.mark.slow
def test_many_systems_are_compared_pair_by_pair_and_holm_allows_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = two_files(tmp_path)
    code, out, _ = nevus(monkeypatch, capsys, "compare", first, second, first, "--json")
    assert code == 0
    document = json.loads(out)
    assert document["num_pairs"] == 3
    p = [part["differences"]["auc"]["p"] for part in document["comparisons"]]
    adjusted = [part["differences"]["auc"]["p_holm"] for part in document["comparisons"]]
    assert adjusted == pytest.approx(list(multipletests(p, method="holm")[1]))
    code, out, _ = nevus(monkeypatch, capsys, "compare", first, second, first, "--margin", "0.05")
    assert code == 0
    assert out.count("Not inferior by a margin of 0.05?") == 3
    code, _, err = nevus(monkeypatch, capsys, "compare", first)
    assert code == 2
    assert "at least two" in err
