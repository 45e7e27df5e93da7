"""Several predictions files as one: what is averaged, on which rows weights are fitted, what is refused, what it costs."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from command_line import nevus
from nevus.errors import DataError
from nevus.evaluation.compare import compare
from nevus.evaluation.ensemble import ensemble, ensemble_table
from nevus.evaluation.predictions import Predictions
from nevus.metrics.ensemble import fit_weights, mean_ranks

CLASSES = ("mel", "nv", "bkl")
COLUMNS = [f"p_{name}" for name in CLASSES]


def frame_of(seed: int, skill: float = 1.0, protocol: str = "strict") -> pd.DataFrame:
    """Two folds of 60 test and 60 validation images; the images are the same whatever the seed and the skill."""
    rows = [(fold, part, k) for fold in (0, 1) for part in ("validation", "test") for k in range(60)]
    targets = np.array([k % 3 for _, _, k in rows])
    logits = np.random.default_rng(seed).normal(size=(len(rows), 3)) + skill * np.eye(3)[targets]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    table = pd.DataFrame({"image_id": [f"{fold}{part[0]}{k:02}" for fold, part, k in rows]})
    table["fold"], table["split"] = [row[0] for row in rows], [row[1] for row in rows]
    table["protocol"], table["target"] = protocol, np.array(CLASSES)[targets]
    table["group_id"] = [f"L{fold}{part}{k // 2}" for fold, part, k in rows]
    return table.assign(**{f"p_{name}": probabilities[:, index] for index, name in enumerate(CLASSES)})


def predictions(frame: pd.DataFrame, source: str = "a.csv") -> Predictions:
    return Predictions.from_frame(frame, source)


@pytest.fixture
def pair() -> list[Predictions]:
    return [predictions(frame_of(1, 2.0), "a.csv"), predictions(frame_of(2, 1.0), "b.csv")]


def test_the_mean_is_that_of_each_row_whatever_the_order_of_the_rows(pair: list[Predictions]) -> None:
    shuffled = predictions(pair[1].frame.sample(frac=1, random_state=0), "b.csv")
    result = ensemble([pair[0], shuffled]).predictions.frame
    assert np.allclose(result[COLUMNS], (pair[0].frame[COLUMNS] + pair[1].frame[COLUMNS]) / 2)
    assert (result["image_id"] == pair[0].frame["image_id"]).all()
    assert (result["group_id"] == pair[0].frame["group_id"]).all()


@pytest.mark.parametrize("how", ["mean", "rank_mean", "weighted"])
def test_identical_members_together_are_the_member(how: str) -> None:
    member = predictions(frame_of(1))
    result = ensemble([member, member, member], how=how)
    difference = (result.predictions.frame[COLUMNS] - member.frame[COLUMNS]).to_numpy()
    assert np.abs(difference).max() < 1e-12


def test_weights_are_each_folds_own_and_never_see_a_test_row(pair: list[Predictions]) -> None:
    result = ensemble(pair, how="weighted")
    assert result.document["fitted_on"] == "validation"
    for fold in (0, 1):
        rows = (pair[0].frame["fold"] == fold) & (pair[0].frame["split"] == "validation")
        targets = pair[0].targets(pair[0].frame[rows])
        expected = fit_weights([table.probabilities(table.frame[rows]) for table in pair], targets)
        assert result.document["weights"][str(fold)] == pytest.approx(expected.tolist())
    assert result.document["weights"]["0"] != result.document["weights"]["1"]
    # Other answers about the test images leave the weights as they were.
    changed = [table.frame.copy() for table in pair]
    test = changed[0]["split"] == "test"
    changed[0].loc[test, COLUMNS] = [[0.1, 0.1, 0.8]]
    again = ensemble([predictions(frame) for frame in changed], how="weighted")
    assert again.document["weights"] == result.document["weights"]
    losses = result.document["log_loss"]["validation"]
    assert losses["ensemble"] <= min(losses["members"])


def test_ranks_are_within_a_fold_and_part_and_are_called_no_probabilities(pair: list[Predictions]) -> None:
    result = ensemble(pair, how="rank_mean")
    for fold, part in ((0, "test"), (1, "validation")):
        rows = ((pair[0].frame["fold"] == fold) & (pair[0].frame["split"] == part)).to_numpy()
        expected = mean_ranks([table.probabilities(table.frame[rows]) for table in pair])
        assert np.allclose(result.predictions.frame.loc[rows, COLUMNS], expected)
    assert "no probabilities" in result.document["notes"][0]
    assert result.document["log_loss"] is None


def test_under_a_papers_protocol_the_weights_are_called_optimistic() -> None:
    members = [predictions(frame_of(seed, protocol="paper-2022")) for seed in (1, 2)]
    result = ensemble(members, how="weighted")
    assert result.document["fitted_on"] == "test"
    assert result.document["notes"][0].startswith("Optimistic")
    assert "Optimistic" in ensemble_table(result.document)


def test_it_is_compared_with_its_members_as_any_run_is(pair: list[Predictions]) -> None:
    found = compare(pair[1], ensemble(pair).predictions, num_resamples=100)["differences"]["macro_auc"]
    assert found["value"] > 0


def test_files_of_other_rows_are_refused_by_name(pair: list[Predictions]) -> None:
    def refused(frame: pd.DataFrame) -> str:
        with pytest.raises(DataError) as error:
            ensemble([pair[0], predictions(frame, "b.csv")])
        return str(error.value)

    frame = pair[1].frame
    fewer = refused(frame[frame["image_id"] != "0t07"])
    assert "0t07, test of fold 0: only in a.csv" in fewer
    assert "folds.csv" in fewer
    assert "0t00, test of fold 0: only in a.csv" in refused(frame.assign(fold=1 - frame["fold"]))
    moved = frame.assign(split=frame["split"].map({"test": "validation", "validation": "test"}))
    assert "0t00, validation of fold 0: only in b.csv" in refused(moved)
    assert "0t02: 'bkl' and 'nv'" in refused(frame.assign(target=frame["target"].where(frame["image_id"] != "0t02", "nv")))
    grouped = frame.assign(group_id=frame["group_id"].where(frame["image_id"] != "0v01", "other"))
    assert "0v01 in L0validation0 and in other" in refused(grouped)
    assert "classes differ" in refused(frame.rename(columns={"p_bkl": "p_df"}).replace({"target": {"bkl": "df"}}))
    assert "protocols differ" in refused(frame.assign(protocol="paper-2022"))


def test_what_cannot_be_combined_is_refused(pair: list[Predictions]) -> None:
    with pytest.raises(DataError, match="two predictions files or more"):
        ensemble(pair[:1])
    with pytest.raises(DataError, match="--how median: expected one of mean, rank_mean, weighted"):
        ensemble(pair, how="median")
    tests = [predictions(table.test, table.source) for table in pair]
    with pytest.raises(DataError, match=r"a\.csv: fold 0 has no validation rows"):
        ensemble(tests, how="weighted")
    scores = Predictions(pair[1].frame.assign(p_mel=0.9), "scores.csv", by_column=True)
    with pytest.raises(DataError, match=r"scores\.csv: its rows do not sum to 1"):
        ensemble([pair[0], scores])
    with pytest.raises(DataError, match="1 run folders for 2"):
        ensemble(pair, runs=["a"])
    assert ensemble(tests).document["log_loss"].keys() == {"test"}


def test_the_cost_is_the_sum_of_the_members_or_says_what_is_missing(
    pair: list[Predictions], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "fold-0" / "bundle").mkdir(parents=True)
    times = {"a": 12.5, "b": 30.0}
    monkeypatch.setattr("nevus.evaluation.ensemble.Bundle.load", lambda path: path)
    monkeypatch.setattr("nevus.evaluation.ensemble.measure_latency", lambda path: times[path.parents[1].name])
    cost = ensemble(pair, runs=[tmp_path / "a", tmp_path / "b"]).document["cost"]
    assert (cost["latency_ms"], cost["members_ms"], cost["reason"]) == (42.5, [12.5, 30.0], None)
    cost = ensemble(pair, runs=[tmp_path / "a", tmp_path]).document["cost"]
    assert (cost["latency_ms"], cost["members_ms"]) == (None, [12.5, None])
    assert f"{tmp_path} has no bundle" in cost["reason"]


def test_the_verb_writes_a_file_that_evaluate_reads(
    pair: list[Predictions], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, table in zip(("a", "b"), pair, strict=True):
        (tmp_path / name).mkdir()
        table.write(tmp_path / name / "predictions.csv")
    files = [tmp_path / name / "predictions.csv" for name in ("a", "b")]
    out = tmp_path / "both.csv"
    code, text, _ = nevus(monkeypatch, capsys, "ensemble", *files, "--how", "weighted", "--out", out, "--json")
    document = json.loads(text)
    assert code == 0
    assert document["cost"]["latency_ms"] is None
    assert document["members"] == [str(path) for path in files]
    assert Predictions.read(out).frame[COLUMNS].shape == (240, 3)
    code, text, _ = nevus(monkeypatch, capsys, "ensemble", *files, "--out", out)
    assert "equal" in text
    assert "has no bundle" in text
    code, _, error = nevus(monkeypatch, capsys, "ensemble", files[0], "--out", out)
    assert code == 2
    assert "two predictions files or more" in error
