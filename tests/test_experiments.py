"""The experiments: pairs differ in one factor, effects are those of `nevus compare`, and the scripts run end to end."""

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import torch

from nevus.data.images import read_image
from nevus.data.manifest import Manifest
from nevus.data.phantom import write_phantoms
from nevus.evaluation.compare import compare
from nevus.evaluation.evaluate import evaluate
from nevus.evaluation.predictions import Predictions
from nevus.training.loader import Batch
from nevus.training.mixup import Mixture

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
CLASSES = ("mel", "nv", "bkl")


@pytest.fixture
def effects(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import effects

    monkeypatch.setattr(effects, "NUM_RESAMPLES", 200)
    return effects


def answers(skill: float, seed: int) -> Predictions:
    targets = np.repeat(np.arange(50) % 3, 2)
    logits = np.random.default_rng(seed).normal(size=(100, 3)) + skill * np.eye(3)[targets]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    table = pd.DataFrame({"image_id": [f"I{k:03}" for k in range(100)], "target": np.array(CLASSES)[targets]})
    table["group_id"] = [f"L{k // 2}" for k in range(100)]
    return Predictions.from_frame(table.assign(**{f"p_{name}": probabilities[:, k] for k, name in enumerate(CLASSES)}))


def test_pairs_differ_in_one_factor(effects: ModuleType) -> None:
    assert effects.pairs_of("b", ["a", "b", "c"]) == [("a + b + c", "a + c"), ("a + b", "a"), ("b + c", "c"), ("b", "none")]


def test_effects_are_those_of_a_comparison_and_their_mean(effects: ModuleType) -> None:
    tables = {"a + b": answers(2.0, 0), "a": answers(1.5, 1), "b": answers(1.0, 2), "none": answers(0.5, 3)}
    document = effects.summarise(tables, ["a", "b"])
    evaluated = evaluate(tables["a"], intervals="bootstrap", num_resamples=200)["metrics"]
    for name, cell in document["cells"]["a"].items():
        assert [cell[part] for part in ("value", "low", "high")] == [evaluated[name][part] for part in ("value", "low", "high")]
    for name, found in document["effects"]["a"]["from the full system"].items():
        whole = compare(tables["b"], tables["a + b"], num_resamples=200)["differences"][name]
        assert [found[part] for part in ("value", "low", "high", "p")] == [whole[part] for part in ("value", "low", "high", "p")]
    for name, found in document["effects"]["a"]["averaged"].items():
        other = compare(tables["none"], tables["a"], num_resamples=200)["differences"][name]["value"]
        first = document["effects"]["a"]["from the full system"][name]["value"]
        assert found["value"] == pytest.approx((first + other) / 2)
    text = effects.render("paper-2022", document)
    assert "paper-2022 (optimistic)" in text
    assert "p ≤ 0.010" in text, "the smallest that 200 resamples can tell"


def test_a_factor_that_does_nothing_has_no_effect(effects: ModuleType) -> None:
    document = effects.summarise({"a": answers(1.0, 0), "none": answers(1.0, 0)}, ["a"])
    assert list(document["effects"]["a"]) == ["from the full system"], "one pair has no average"
    for found in document["effects"]["a"]["from the full system"].values():
        assert (found["value"], found["low"], found["high"], found["p"]) == (0, 0, 0, 1)


@pytest.mark.slow
def test_the_factorial_runs_end_to_end(
    phantoms: Manifest, effects: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import factorial

    settings = ("model.backbone=resnet10t", "model.pretrained=none", "data.size=64", "data.num_folds=2", "data.task=malignant")
    words = [phantoms.path, "--out", tmp_path]
    for setting in (*settings, "training.epochs=1", "training.batch_size=16", "data.validation_share=0.3"):
        words += ["--set", setting]
    monkeypatch.setattr(sys, "argv", ["factorial.py", *map(str, words)])
    factorial.main()
    document = json.loads((tmp_path / "factorial.json").read_text())
    assert {name: len(part["cells"]) for name, part in document["protocols"].items()} == {"strict": 8, "paper-2022": 8}
    cells = document["protocols"]["strict"]["cells"]
    assert len({cells[name]["auc"]["value"] for name in cells}) > 4
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("predictions.csv")}
    assert len(written) == 16
    factorial.main()
    assert {path: path.stat().st_mtime_ns for path in written} == written, "what is finished is not trained again"
    assert "| attention, averaged |" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(("every", "count"), [(True, 4), (False, 3)])
def test_the_fine_tuned_systems_run_end_to_end(
    phantoms: Manifest,
    effects: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    every: bool,
    count: int,
) -> None:
    import fine_tuned

    settings = ("model.backbone=resnet10t", "model.pretrained=none", "data.size=64", "data.num_folds=2", "training.epochs=1")
    words = [EXPERIMENTS / "effects-isic2020.toml", phantoms.path, "--out", tmp_path, "--only", 0]
    words += ["--factor", "attention", "--factor", "metadata", *(["--all"] if every else [])]
    for setting in (*settings, "training.batch_size=16", "data.validation_share=0.3", "data.protocol=paper-2022"):
        words += ["--set", setting]
    monkeypatch.setattr(sys, "argv", ["fine_tuned.py", *map(str, words)])
    fine_tuned.main()
    document = json.loads((tmp_path / "effects.json").read_text())
    assert len(document["cells"]) == count == len(list(tmp_path.glob("*/predictions.csv")))
    assert [list(kinds) for kinds in document["effects"].values()] == [["from the full system", *["averaged"] * every]] * 2
    recipes = {path.parent.name: json.loads(path.read_text()) for path in tmp_path.glob("*/recipe.json")}
    assert recipes["metadata"]["model"]["attention"]["kind"] == "none"
    assert recipes["attention"]["data"]["metadata"] == []
    assert "| attention, from the full system |" in capsys.readouterr().out


@pytest.mark.slow
def test_the_ledger_puts_the_first_fold_away_and_says_what_each_change_was_worth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import ledger

    phantoms = Manifest.read(write_phantoms(tmp_path / "phantoms", num_lesions=200, size=(48, 64)))

    settings = ("backbone = 'resnet10t'", "pretrained = 'none'")
    recipe = (EXPERIMENTS / "screen.toml").read_text(encoding="utf-8")
    for before, after in (
        *(('backbone = "tf_efficientnet_lite0"', settings[0]), ('pretrained = "package"', settings[1])),
        *(("size = 96", "size = 64"), ("num_folds = 5", "num_folds = 2"), ("epochs = 16", "epochs = 1")),
        ("validation_share = 0.12", "validation_share = 0.4"),
    ):
        assert before in recipe
        recipe = recipe.replace(before, after)
    (tmp_path / "screen.toml").write_text(recipe, encoding="utf-8")
    entries = '[[entry]]\nname = "base"\nwhy = "w"\nexpected = "e"\n[[entry]]\nname = "other"\nsettings = ["model.dropout=0.5"]\n'
    text = f'recipe = "screen.toml"\n{entries}why = "w"\nexpected = "nothing"\n'
    (tmp_path / "ledger.toml").write_text(text, encoding="utf-8")
    page, runs = tmp_path / "page.md", tmp_path / "runs"
    words = ["ledger.py", tmp_path / "ledger.toml", phantoms.path, "--out", runs, "--page", page]
    monkeypatch.setattr(sys, "argv", list(map(str, [*words, "--only", "base"])))
    ledger.main()
    assert not page.exists()
    monkeypatch.setattr(sys, "argv", list(map(str, words)))
    ledger.main()
    kept, whole = Manifest.read(runs / "without-the-first-fold.csv"), len(phantoms)
    assert 0.3 * whole < len(kept) < 0.7 * whole
    found = json.loads((runs / "ledger.json").read_text())["entries"]
    expected = compare(runs / "base" / "predictions.csv", runs / "other" / "predictions.csv")["differences"]["macro_auc"]
    assert found[1]["differences"]["macro_auc"]["value"] == expected["value"]
    assert f"{expected['second']:.3f} ({expected['value']:+.3f}" in page.read_text(encoding="utf-8")


def test_a_pasted_pair_answers_in_proportion_of_its_lesions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import masks

    # Half of the image pasted: of the first lesion 2 of 4 pixels are left beside 1 of its partner, of the second 1 beside 2 of 4.
    lesions = torch.zeros(3, 1, 4, 4)
    lesions[0, 0, 0, :] = 1
    lesions[1, 0, 3, 1:3] = 1
    mixture = Mixture(0.5, torch.tensor([1, 0, 2]), (0, 2, 4, 4))
    assert masks.lesion_share(lesions, mixture).tolist() == pytest.approx([2 / 3, 1 / 3, 0.5])
    whole = Mixture(0.75, torch.tensor([1, 2, 0]), (0, 0, 2, 2))
    assert masks.lesion_share(torch.ones(3, 1, 4, 4), whole).tolist() == [0.75] * 3, "lesions that fill the image: the areas"


@pytest.mark.slow
@pytest.mark.parametrize("task", ["map", "share"])
def test_masks_are_seen_as_their_images_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import masks

    phantoms = Manifest.read(write_phantoms(tmp_path / "phantoms", num_lesions=200, size=(48, 64)))
    (tmp_path / "masks").mkdir()
    for image_id, path in zip(phantoms.frame["image_id"], phantoms.paths(), strict=True):
        # Not a mask but the image, so that what is done to the one can be told from what is done to the other.
        shown = np.repeat(read_image(path).max(axis=2)[:, :, None], 3, axis=2)
        PIL.Image.fromarray(shown).save(tmp_path / "masks" / f"{image_id}.png")
    seen = []

    class Watched(masks.MaskTask):  # type: ignore[misc, name-defined]
        def lesions(self, batch: Batch, epoch: int) -> torch.Tensor:
            lesions: torch.Tensor = super().lesions(batch, epoch)
            seen.append((epoch, (lesions[:, 0] - batch.images.max(dim=3).values / 255).abs().max().item()))
            return lesions

        def forward(self, batch: Batch, logits: torch.Tensor, done: float) -> torch.Tensor:
            added: torch.Tensor = super().forward(batch, logits, done)
            assert added.requires_grad
            assert added.item() != 0
            return added

    monkeypatch.setattr(masks, "MaskTask", Watched)
    words = ["masks.py", phantoms.path, tmp_path / "masks", "--task", task, "--out", tmp_path / "runs"]
    colours = [f"data.augment.{name}=0" for name in ("brightness", "contrast", "saturation", "hue_degrees")]
    settings = ["model.backbone=resnet10t", "model.pretrained=none", "data.size=32", "data.num_folds=2", "training.epochs=2"]
    for setting in (*settings, *colours, "training.batch_size=16", "data.validation_share=0.4", "data.views=1"):
        words += ["--set", setting]
    monkeypatch.setattr(sys, "argv", list(map(str, words)))
    monkeypatch.setattr(masks.fit, "train", masks.fit.train)  # to be put back
    masks.main()
    assert (tmp_path / "runs" / task / "evaluation.json").exists()
    assert {epoch for epoch, _ in seen} == {1, 2}
    # The brightest channel of interpolated pixels is not the interpolated brightest, on few pixels and by little.
    assert max(difference for _, difference in seen) < 0.1


def test_runs_are_told_apart_on_their_validation_rows_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import validation

    for name, skill in (("one", 1.0), ("other", 3.0)):
        frame = answers(skill, 5).frame.assign(split="validation")
        noise = answers(0.0, 7).frame.assign(split="test")
        noise["image_id"], noise["group_id"] = "T" + noise["image_id"], "T" + noise["group_id"]
        table = Predictions.from_frame(pd.concat([frame, noise], ignore_index=True))
        (tmp_path / name).mkdir()
        table.write(tmp_path / name / "predictions.csv")
        (tmp_path / name / "evaluation.json").write_text(
            json.dumps({"decisions": "balanced" if name == "other" else "likeliest"})
        )
    text = validation.table([tmp_path / "one", tmp_path / "other"], [0])
    for skill, line in ((1.0, text.split("\n")[2]), (3.0, text.split("\n")[3])):
        alone = evaluate(answers(skill, 5), num_resamples=20)["metrics"]["macro_auc"]["value"]
        assert f"| {alone:.4f} " in line
    rows = answers(3.0, 5)
    decided = rows.probabilities(rows.frame) / np.array([34, 34, 32])
    recalls = [(decided.argmax(axis=1) == k)[rows.targets(rows.frame) == k].mean() for k in range(3)]
    assert f"| {np.mean(recalls):.4f} " in text.split("\n")[3], "the other decides by its own rule"
    assert "100 rows of 50 groups." in text
