"""Changed images and metadata: the same changes each time, what is done is kept, whole groups, verdicts that follow figures."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from command_line import nevus
from nevus.data.images import Pixels
from nevus.data.manifest import Manifest
from nevus.errors import DataError
from nevus.evaluation import robustness as module
from nevus.evaluation.changed_images import Condition, answers, changed, conditions, metadata_columns
from nevus.evaluation.cross_validate import cross_validate
from nevus.evaluation.operating_point import operating_point
from nevus.evaluation.predictions import Predictions
from nevus.evaluation.robustness import robustness
from nevus.evaluation.tested_run import drawn_rows
from nevus.predictor import softmax
from nevus.recipe import Recipe

IMAGE = np.random.default_rng(0).integers(60, 200, (48, 64, 3)).astype(np.uint8)


class Eye:
    """A predictor that sees how bright an image is, and whether it is told an age."""

    def __init__(self) -> None:
        self.bundle = SimpleNamespace(document={"checksum": "abc"})
        self.calls = 0

    def logits(self, images: list[Pixels], metadata: dict[str, Any]) -> np.ndarray:
        self.calls += 1
        light = np.array([image.mean() / 255 for image in images])
        aged = np.array([0.0 if pd.isna(age) else float(age) / 100 for age in metadata["age_years"]])
        return np.stack([light, aged], axis=1).astype(np.float32)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        return softmax(logits, 1.0)


def rows(phantoms: Manifest, count: int) -> tuple[pd.DataFrame, list[Path]]:
    return phantoms.frame.iloc[:count].reset_index(drop=True), phantoms.paths()[:count]


def test_a_change_is_the_same_each_time_another_for_another_image_and_more_with_severity() -> None:
    def apart(severity: str, name: str = "a", seed: int = 0) -> Pixels:
        return changed(IMAGE, name, Condition("hair", severity), seed)

    assert (apart("3") == apart("3")).all()
    assert (apart("3") != apart("3", name="b")).any()
    assert (apart("3") != apart("3", seed=1)).any()
    shares = [(apart(str(severity)) != IMAGE).mean() for severity in (1, 3, 5)]
    assert shares == sorted(shares)
    assert changed(IMAGE, "a", Condition("missing", "age"), 0) is IMAGE


def test_missing_metadata_is_empty_and_wrong_metadata_is_somebody_elses() -> None:
    frame = pd.DataFrame({"age_years": np.arange(50.0), "sex": ["female", "male"] * 25, "site": "torso"})
    missing = metadata_columns(frame, Condition("missing", "sex"), 0)
    assert set(missing["sex"]) == {""}
    assert list(missing["age_years"]) == list(np.arange(50.0))
    nothing = metadata_columns(frame, Condition("missing", "all"), 0)
    assert np.isnan(nothing["age_years"].astype(float)).all()
    wrong = metadata_columns(frame, Condition("wrong", "age"), 0)["age_years"]
    assert sorted(wrong) == list(np.arange(50.0))
    assert list(wrong) != list(np.arange(50.0))


def test_answers_are_those_of_the_changed_image_and_are_kept(phantoms: Manifest, tmp_path: Path) -> None:
    frame, paths = rows(phantoms, 40)
    wanted = conditions(["vignette"], [5], ["age"])
    eye: Any = Eye()
    counts: list[int] = []
    found = answers(eye, paths, frame, wanted, tmp_path, seed=0, done=counts.append)
    assert list(found) == ["clean/", "vignette/5", "missing/age", "wrong/age"]
    assert sum(counts) == 40
    assert (found["vignette/5"][:, 0] < found["clean/"][:, 0]).all(), "a vignette darkens"
    aged = frame["age_years"].notna().to_numpy()
    assert (found["missing/age"][aged, 1] < found["clean/"][aged, 1]).all()
    calls = eye.calls
    again = answers(eye, paths, frame, wanted, tmp_path, seed=0)
    assert eye.calls == calls, "what is done is not done again"
    assert all((again[name] == found[name]).all() for name in found)
    answers(eye, paths, frame, wanted, tmp_path, seed=1)
    assert eye.calls > calls, "another seed is another question"


def test_unknown_kinds_and_severities_are_named() -> None:
    with pytest.raises(DataError, match=r"kind 'fog': expected one of hair, ruler"):
        conditions(["fog"], [1], [])
    with pytest.raises(DataError, match="severity 6"):
        conditions(["hair"], [6], [])


def test_a_subset_has_whole_groups_and_the_classes_shares() -> None:
    groups = np.arange(600) // 3
    frame = pd.DataFrame({"image_id": [f"I{k}" for k in range(600)], "group_id": [f"G{k}" for k in groups]})
    frame["target"] = np.where(groups % 10 == 0, "malignant", "benign")
    part = drawn_rows(frame, 150, 0)
    assert 140 <= len(part) <= 165
    assert (part.groupby("group_id").size() == 3).all()
    assert 0.08 < (part["target"] == "malignant").mean() < 0.14
    assert list(part["image_id"]) == list(drawn_rows(frame, 150, 0)["image_id"]) != list(drawn_rows(frame, 150, 1)["image_id"])
    assert len(drawn_rows(frame, None, 0)) == len(drawn_rows(frame, 5000, 0)) == 600


def test_a_rate_changes_more_and_more_of_the_same_images_and_the_verdict_follows_the_interval(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    positives = np.arange(300) % 3 == 0
    test = pd.DataFrame({"image_id": [f"I{k}" for k in range(300)], "target": np.where(positives, "malignant", "benign")})

    def answered(skill: float) -> np.ndarray:
        scores = 1 / (1 + np.exp(-(np.random.default_rng(1).normal(0, 1, 300) + skill * (positives - 0.5))))
        return np.stack([1 - scores, scores], axis=1)

    good, bad = answered(3.0), rng.dirichlet([1, 1], 300)
    frame = test.assign(p_benign=good[:, 0], p_malignant=good[:, 1])
    table = Predictions.from_frame(frame)
    point = operating_point(table, "youden", 0.5)
    setting = module._Setting(table, table.test, point, 200, 0)
    rates = module._by_rate(setting, good, bad, 0)
    aucs = [part["figures"]["auc"]["value"] for part in rates.values()]
    assert aucs == sorted(aucs, reverse=True)
    assert aucs[-1] == pytest.approx(setting.figures(bad)["auc"]["value"])
    assert rates["1"]["differences"]["auc"]["high"] < -0.2
    frame.to_csv(tmp_path / "predictions.csv", index=False)
    falls = module._image_only(setting, {"missing/all": bad}, tmp_path)["figures"]["auc"]
    assert falls["holds"] is False
    assert "FALLS BELOW" in falls["words"]
    assert module._image_only(setting, {"missing/all": good}, tmp_path)["figures"]["auc"]["holds"] is True
    frame.iloc[1:].to_csv(tmp_path / "predictions.csv", index=False)
    with pytest.raises(DataError, match="does not test image I0"):
        module._image_only(setting, {"missing/all": good}, tmp_path)


@pytest.mark.slow
def test_a_run_is_tested_again_from_the_command_line(
    tiny: Recipe, phantoms: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cross_validate(tiny.with_settings(["training.epochs=1"]), phantoms, tmp_path / "run")
    words = ("robustness", tmp_path / "run", "--kind", "blur", "--kind", "hair", "--severity", 5, "--images", 60)
    code, out, _ = nevus(monkeypatch, capsys, *words, "--image-only", tmp_path / "run", "--json")
    assert code == 0
    document = json.loads(out)
    assert document == json.loads((tmp_path / "run" / "robustness.json").read_text())
    assert set(document["kinds"]) == {"blur", "hair"}
    assert set(document["metadata"]["missing"]) == {"age", "sex", "site", "all"}
    clean = document["clean"]["auc"]
    for rates in document["metadata"]["missing"].values():
        assert list(rates) == ["0.1", "0.25", "0.5", "0.75", "1"]
    part = document["kinds"]["blur"]["5"]
    assert part["differences"]["auc"]["value"] == pytest.approx(part["figures"]["auc"]["value"] - clean["value"])
    assert document["image_only"]["figures"]["auc"]["holds"] is not None
    assert (tmp_path / "run" / "robustness" / "blur.jpg").stat().st_size > 500
    # Unchanged, the bundles' answers have the figures that the run has on file.
    whole = robustness(tmp_path / "run", kinds=[], num_images=None)
    expected = json.loads((tmp_path / "run" / "evaluation.json").read_text())["metrics"]
    for name in ("auc", "sensitivity", "specificity"):
        assert whole["clean"][name]["value"] == pytest.approx(expected[name]["value"], abs=0.02)
    code, _, err = nevus(monkeypatch, capsys, "robustness", tmp_path, "--json")
    assert code == 2
    assert "predictions.csv" in err
