"""A model trained on lesions cropped by their masks: measured on crops, and silent where there is no mask."""

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from command_line import nevus
from nevus.data.crops import split_crop
from nevus.data.images import read_image
from nevus.data.manifest import Manifest
from nevus.data.masks import crop_paths
from nevus.errors import BundleError
from nevus.evaluation.cross_validate import cross_validate
from nevus.predictor import Predictor
from nevus.recipe import Recipe

pytestmark = pytest.mark.slow
MARGIN = 0.2


@pytest.fixture(scope="module")
def masks(phantoms: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disc for each photo, of another size and place."""
    folder, rng = tmp_path_factory.mktemp("masks"), np.random.default_rng(0)
    for path, image_id in zip(phantoms.paths(), phantoms.frame["image_id"], strict=True):
        height, width = read_image(path).shape[:2]
        mask = np.zeros((height, width), np.uint8)
        centre = (int(rng.uniform(0.3, 0.7) * width), int(rng.uniform(0.3, 0.7) * height))
        cv2.circle(mask, centre, int(rng.uniform(6, 14)), 255, -1)
        cv2.imwrite(str(folder / f"{image_id}_segmentation.png"), mask)
    return folder


@pytest.fixture(scope="module")
def run(phantoms: Manifest, masks: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = ["data.task=malignant", "data.num_folds=2", "data.validation_share=0.3", "data.size=32", "training.epochs=1"]
    settings += ["model.backbone=resnet10t", "training.precision=float32", "data.crop=mask", f"data.crop_margin={MARGIN}"]
    folder = tmp_path_factory.mktemp("run")
    recipe = Recipe(name="crops").with_settings([*settings, f"data.masks={masks}"])
    cross_validate(recipe, phantoms, folder, only=[0])
    return folder


def test_the_measured_answers_are_those_for_the_crops(run: Path, phantoms: Manifest, masks: Path) -> None:
    table = pd.read_csv(run / "predictions.csv").set_index("image_id")
    table = table[table["split"] == "test"]
    rows = phantoms.where(phantoms.frame["image_id"].isin(table.index))
    metadata = {name: rows.frame[name].to_numpy() for name in ("age_years", "sex", "site")}
    paths = crop_paths(rows.paths(), rows.frame["image_id"].tolist(), masks, MARGIN)
    answers = Predictor(run / "fold-0" / "bundle").predict(paths, metadata)
    assert [answer.image for answer in answers] == [str(path) for path in rows.paths()]
    found = [answer.probabilities["malignant"] for answer in answers]
    assert np.allclose(found, table["p_malignant"].loc[rows.frame["image_id"]], atol=1e-5)
    # The parts cut out by hand, and as pixels.
    predictor = Predictor(run / "fold-0" / "bundle")
    images = []
    for path in paths[:4]:
        name, crop = split_crop(path)
        assert crop is not None
        images.append(read_image(name)[crop.top : crop.bottom, crop.left : crop.right])
    logits = predictor.logits(images, {name: values[:4] for name, values in metadata.items()}, cropped=True)
    assert np.allclose(predictor.probabilities(logits)[:, 1], found[:4], atol=1e-5)


def test_the_bundle_says_that_it_needs_masks_and_gives_no_answer_without(run: Path, phantoms: Manifest) -> None:
    bundle = run / "fold-0" / "bundle"
    preprocessing = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))["preprocessing"]
    assert (preprocessing["crop"], preprocessing["crop_margin"]) == ("mask", MARGIN)
    assert "by its mask" in (bundle / "README.md").read_text(encoding="utf-8")
    predictor = Predictor(bundle)
    with pytest.raises(BundleError, match=r"cropped by their masks, and .* is a whole image.*--masks FOLDER"):
        predictor.predict(phantoms.paths()[:2])
    with pytest.raises(BundleError, match="these images are whole"):
        predictor.logits([read_image(phantoms.paths()[0])])


def test_the_command_line_takes_masks_and_asks_for_them(
    run: Path, phantoms: Manifest, masks: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", phantoms.paths()[0], "--bundle", run / "fold-0" / "bundle", "--json"]
    code, _, err = nevus(monkeypatch, capsys, *words)
    assert code == 2
    assert "Give the masks: nevus predict --masks FOLDER" in err
    code, out, _ = nevus(monkeypatch, capsys, *words, "--masks", masks)
    assert code == 0
    assert json.loads(out)[0]["image"] == str(phantoms.paths()[0])


def test_a_bundle_of_whole_images_takes_no_masks(
    phantoms: Manifest, masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["data.task=malignant", "data.size=32", "training.epochs=1", "model.backbone=resnet10t", "data.num_folds=2"]
    cross_validate(
        Recipe(name="whole").with_settings([*settings, "training.precision=float32"]), phantoms, tmp_path / "run", only=[0]
    )
    words = ["predict", phantoms.paths()[0], "--bundle", tmp_path / "run" / "fold-0" / "bundle", "--masks", masks]
    code, _, err = nevus(monkeypatch, capsys, *words)
    assert code == 2
    assert "trained on whole images, and masks are given. Give no masks." in err
