"""Which class is decided: by the largest probability, or by the largest for its share."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nevus.bundle import Bundle
from nevus.errors import DataError
from nevus.evaluation.compare import compare
from nevus.evaluation.decisions import decide_rows
from nevus.evaluation.evaluate import evaluate
from nevus.evaluation.predictions import Predictions
from nevus.evaluation.submission import write_submission
from nevus.predictor.answer import answer, decision_weights
from nevus.predictor.layouts import check_layout, write_layout

CLASSES = ("df", "mel", "nv")
# Shares of the validation rows: df 1/8, mel 2/8, nv 5/8.
VALIDATION = ["df"] + 2 * ["mel"] + 5 * ["nv"]
# target, p of df, mel, nv; decided by the largest, and by the largest of p × 8, p × 4, p × 1.6.
TEST: list[tuple[str, float, float, float, str, str]] = [
    ("df", 0.15, 0.25, 0.60, "nv", "df"),  # 1.2, 1.0, 0.96
    ("df", 0.10, 0.30, 0.60, "nv", "mel"),  # 0.8, 1.2, 0.96
    ("mel", 0.05, 0.45, 0.50, "nv", "mel"),  # 0.4, 1.8, 0.8
    ("nv", 0.02, 0.08, 0.90, "nv", "nv"),  # 0.16, 0.32, 1.44
    ("nv", 0.00, 0.55, 0.45, "mel", "mel"),  # 0, 2.2, 0.72
    ("nv", 0.10, 0.20, 0.70, "nv", "nv"),  # 0.8, 0.8, 1.12
]


def predictions(validation: list[str] = VALIDATION, folds: int = 1) -> Predictions:
    rows = []
    for fold in range(folds):
        for split, chosen in (
            ("validation", [(name, 0.2, 0.3, 0.5) for name in validation]),
            ("test", [row[:4] for row in TEST]),
        ):
            for index, (target, *shares) in enumerate(chosen):
                named = dict(zip((f"p_{name}" for name in CLASSES), shares, strict=True))
                rows.append({"image_id": f"{fold}{split}{index}", "fold": fold, "split": split, "target": target, **named})
    return Predictions.from_frame(pd.DataFrame(rows))


def named(codes: Any) -> list[str]:
    return [(*CLASSES, "none")[code] for code in codes]


def test_both_rules_by_hand() -> None:
    table = predictions()
    assert named(decide_rows(table, table.test)) == [row[4] for row in TEST]
    assert named(decide_rows(table.deciding("balanced"), table.test)) == [row[5] for row in TEST]
    assert table.deciding("balanced").deciding(None).decisions == "balanced"


def test_a_fold_decides_by_the_shares_of_all_that_it_does_not_test() -> None:
    table = predictions(folds=2).deciding("balanced")
    frame = table.frame.copy()
    other = (frame["fold"] == 1) & (frame["split"] == "validation")
    frame.loc[other, "target"] = ["df", "mel", "mel", "mel", "mel", "mel", "nv", "nv"]
    # Neither the other fold's validation nor what the fold tests itself counts, and an image counts once.
    again = frame[(frame["fold"] == 1) & (frame["split"] == "test")].assign(fold=2)
    frame = pd.concat([frame, again.iloc[:4]])
    table = replace(table, frame=frame)
    decided = named(decide_rows(table, table.test))
    # Of fold 0: df 1 + 2, mel 2 + 1, nv 5 + 3, so weights of 8, 8 and 3.
    assert decided[: len(TEST)] == ["mel", "mel", "mel", "nv", "mel", "nv"]
    # Of fold 1: df 1 + 2, mel 5 + 1, nv 2 + 3, so weights of 10, 5 and 6.
    assert decided[len(TEST) : 2 * len(TEST)] == ["nv", "nv", "nv", "nv", "mel", "nv"]


def test_of_two_alike_none_is_decided() -> None:
    table = predictions().deciding("balanced")
    row = table.test.iloc[:1].assign(p_df=0.125, p_mel=0.25, p_nv=0.625)
    assert decide_rows(table, row).tolist() == [3]


@pytest.mark.parametrize(
    ("validation", "said"),
    [([], "fold 0 has no validation rows, whose shares"), (["mel", "nv"], "fold 0 has no validation row of df")],
)
def test_without_shares_nothing_is_decided(validation: list[str], said: str) -> None:
    table = predictions(validation).deciding("balanced")
    with pytest.raises(DataError, match=said):
        decide_rows(table, table.test)


def test_the_evaluation_counts_by_the_rule_and_ranks_without_it() -> None:
    likeliest, balanced = (evaluate(predictions(), decisions=rule, num_resamples=50) for rule in (None, "balanced"))
    assert (likeliest["decisions"], balanced["decisions"]) == ("likeliest", "balanced")
    # Recalls of df, mel and nv: 0, 0, 2/3, and 1/2, 1, 2/3.
    assert likeliest["metrics"]["balanced_accuracy"]["value"] == pytest.approx(2 / 9)
    assert balanced["metrics"]["balanced_accuracy"]["value"] == pytest.approx(13 / 18)
    assert balanced["confusion"]["matrix"] == [[1, 1, 0], [0, 1, 0], [0, 1, 2]]
    for name in ("macro_auc", "log_loss", "ece", "sensitivity"):
        assert likeliest["metrics"][name]["value"] == balanced["metrics"][name]["value"]
    with pytest.raises(DataError, match="decisions fair: expected one of likeliest, balanced"):
        evaluate(predictions(), decisions="fair")


def test_systems_are_compared_by_their_own_rules_or_by_the_one_asked_for() -> None:
    table = predictions()
    own = compare(table, table.deciding("balanced"), num_resamples=50)["differences"]["balanced_accuracy"]
    assert own["value"] == pytest.approx(13 / 18 - 2 / 9)
    alike = compare(table, table.deciding("balanced"), decisions="balanced", num_resamples=50)["differences"]["balanced_accuracy"]
    assert alike["value"] == 0


def test_a_submission_is_decided_by_its_largest_column(tmp_path: Path) -> None:
    predictions().write(tmp_path / "predictions.csv")
    for rule, place in (("likeliest", 4), ("balanced", 5)):
        notes = write_submission(tmp_path / "predictions.csv", tmp_path / f"{rule}.csv", "isic2018", rule)
        table = pd.read_csv(tmp_path / f"{rule}.csv", index_col="image")
        assert [str(name).lower() for name in table.idxmax(axis=1)] == [row[place] for row in TEST]
        assert table.sum(axis=1).to_numpy() == pytest.approx(np.ones(len(TEST)))
        assert any("divided by its class's share" in note for note in notes) == (rule == "balanced")


def test_a_bundles_submission_decides_as_the_bundle_does(tmp_path: Path) -> None:
    bundle = Bundle(tmp_path, {**document("balanced"), "task": "diagnosis"})
    records = [{"image": f"{k}.jpg", "probabilities": dict(zip(CLASSES, row[1:4], strict=True))} for k, row in enumerate(TEST)]
    # At another prevalence what is shown is not what decides.
    records[0] |= {"unshifted": records[0]["probabilities"], "probabilities": {"df": 0.0, "mel": 0.0, "nv": 1.0}}
    out = io.StringIO()
    write_layout(out, records, tmp_path / "a.csv", "isic2018", bundle)
    table = pd.read_csv(io.StringIO(out.getvalue()), index_col="image")
    assert [str(name).lower() for name in table.idxmax(axis=1)] == [row[5] for row in TEST]
    assert check_layout(tmp_path / "a.csv", "isic2018", [], bundle)[-1].startswith("Each probability is divided")
    assert not any(
        "divided" in note for note in check_layout(tmp_path / "a.csv", "isic2018", [], Bundle(tmp_path, document(None)))
    )


def document(decisions: str | None) -> dict[str, Any]:
    shares = {"df": 0.125, "mel": 0.25, "nv": 0.625}
    given = {} if decisions is None else {"decisions": decisions}
    return {"classes": list(CLASSES), "prior": {"answered": shares, "validation": {"df": 0.1, "mel": 0.2, "nv": 0.7}}, **given}


def test_a_bundle_decides_as_its_run_was_counted() -> None:
    assert decision_weights(document(None)) is None
    assert decision_weights(document("likeliest")) is None
    weights = decision_weights(document("balanced"))
    point = {"positive": None, "threshold": None}
    for _, df, mel, nv, by_largest, by_share in TEST:
        row = np.array([df, mel, nv])
        assert answer("a.jpg", row, CLASSES, point, None).decision == by_largest
        said = answer("a.jpg", row, CLASSES, point, None, weights)
        assert said.decision == by_share
        assert "the class most probable for its share of the images" in said.reasons[0]
        if by_largest != by_share:
            assert said.reasons[-1].endswith(f"high for so rare a class; the most probable one is {by_largest}")


def test_at_equal_shares_both_rules_are_one() -> None:
    given = document("balanced")
    given["prior"]["answered"] = dict.fromkeys(CLASSES, 1 / 3)
    assert decision_weights(given) == pytest.approx([3, 3, 3])


def test_the_threshold_decides_first_and_hides_no_class_that_the_rule_would_choose() -> None:
    weights, point = decision_weights(document("balanced")), {"positive": "mel", "threshold": 0.4}
    flagged = answer("a.jpg", np.array([0.05, 0.45, 0.5]), CLASSES, point, None, weights)
    assert (flagged.decision, flagged.refer) == ("mel", True)
    below = answer("a.jpg", np.array([0.10, 0.30, 0.60]), CLASSES, point, None, weights)
    assert (below.decision, below.refer) == ("nv", True), "0.8, 1.2, 0.96: melanoma by the rule, below its threshold"
    assert "mel is the class most probable for its share of the images, though below its threshold" in below.reasons[0]
    rare = answer("a.jpg", np.array([0.15, 0.05, 0.80]), CLASSES, point, None, weights)
    assert (rare.decision, rare.refer) == ("nv", False), "1.2, 0.2, 1.28"


def test_between_two_classes_the_threshold_alone_decides() -> None:
    two = {"classes": ["benign", "malignant"], "decisions": "balanced", "prior": {}}
    assert decision_weights(two) is None


def test_no_class_is_called_rare_because_the_positive_one_lies_before_it() -> None:
    weights, point = decision_weights(document("balanced")), {"positive": "mel", "threshold": 0.9}
    said = answer("a.jpg", np.array([0.02, 0.6, 0.38]), CLASSES, point, None, weights)
    assert said.decision == "nv"
    assert not any("so rare a class" in reason for reason in said.reasons)
