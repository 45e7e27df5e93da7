"""Phantoms: the same from the same seeds, the class in the lesion alone, patients and lesions as in real data; and artefacts."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nevus.data.artefacts import ARTEFACTS, Artefact
from nevus.data.images import Pixels, read_image
from nevus.data.lesions import LOOKS
from nevus.data.manifest import Manifest
from nevus.data.phantom import paint, write_phantoms
from nevus.errors import NevusError

Features = NDArray[np.float64]
HEIGHT, WIDTH = 36, 48


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Melanomas, nevi and basal cell carcinomas of some hundred patients."""
    shares = {"mel": 0.44, "nv": 0.44, "bcc": 0.12}
    folder = tmp_path_factory.mktemp("clinic")
    return Manifest.read(write_phantoms(folder, num_lesions=150, seed=6, size=(HEIGHT, WIDTH), shares=shares))


@pytest.fixture(scope="module")
def photos(clinic: Manifest) -> list[Pixels]:
    return [read_image(path) for path in clinic.paths()]


@pytest.fixture(scope="module")
def sample() -> Pixels:
    return paint("mel", lesion_seed=3, photo_seed=0)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def images(manifest: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Manifest.read(manifest).paths()}


def states(folder: Path) -> dict[str, tuple[int, int]]:
    stats = {str(path): path.stat() for path in folder.rglob("*") if path.is_file()}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


@pytest.mark.parametrize("diagnosis", sorted(LOOKS))
def test_a_photo_is_a_function_of_its_seeds(diagnosis: str) -> None:
    first = paint(diagnosis, 11, 2, (24, 40))
    assert first.shape == (24, 40, 3)
    assert first.dtype == np.uint8
    assert first.std() > 5
    assert (first == paint(diagnosis, 11, 2, (24, 40))).all()
    assert (first != paint(diagnosis, 11, 3, (24, 40))).mean() > 0.5
    assert (first != paint(diagnosis, 12, 2, (24, 40))).mean() > 0.5


def test_a_set_is_a_function_of_its_plan(tmp_path: Path) -> None:
    for name, seed in (("first", 0), ("second", 0), ("other", 1)):
        write_phantoms(tmp_path / name, num_lesions=3, seed=seed, size=(24, 32))
    first, second, other = (content(tmp_path / name) for name in ("first", "second", "other"))
    assert first == second
    assert len(first) >= 5
    drawn = [{data for name, data in files.items() if name.endswith(".jpg")} for files in (first, other)]
    assert len(drawn[0]) == len(first) - 2
    assert not drawn[0] & drawn[1]


def test_an_intact_set_of_the_same_plan_is_kept(tmp_path: Path) -> None:
    manifest = write_phantoms(tmp_path, num_lesions=2, size=(24, 32))
    before, made = states(tmp_path), content(tmp_path)
    assert write_phantoms(tmp_path, num_lesions=2, size=(24, 32)) == manifest
    assert states(tmp_path) == before
    Manifest.read(manifest).paths()[-1].unlink()
    write_phantoms(tmp_path, num_lesions=2, size=(24, 32))
    assert content(tmp_path) == made


@pytest.mark.slow
@pytest.mark.parametrize(
    "change", [{"size": (32, 40)}, {"num_lesions": 2}, {"shares": {"df": 1.0}}], ids=["size", "lesions", "shares"]
)
def test_another_plan_writes_another_set(tmp_path: Path, change: dict[str, Any]) -> None:
    plan: dict[str, Any] = {"num_lesions": 1, "size": (24, 32)}
    made = images(write_phantoms(tmp_path / "folder", **plan))
    other = images(write_phantoms(tmp_path / "folder", **plan | change))
    assert other != made
    assert other == images(write_phantoms(tmp_path / "fresh", **plan | change))


def test_a_set_cut_short_by_an_error_is_not_taken_for_the_one_before(tmp_path: Path) -> None:
    made = images(write_phantoms(tmp_path, num_lesions=2, size=(24, 32)))
    blocked = tmp_path / "images" / "PH_000000020.jpg"
    blocked.mkdir()
    with pytest.raises(NevusError, match=blocked.name):
        write_phantoms(tmp_path, num_lesions=3, size=(32, 40))
    blocked.rmdir()
    assert images(write_phantoms(tmp_path, num_lesions=2, size=(24, 32))) == made


@pytest.mark.slow
def test_shares_are_met_to_the_lesion(clinic: Manifest) -> None:
    lesions = clinic.frame.drop_duplicates("lesion_id")
    assert lesions["diagnosis"].value_counts().to_dict() == {"mel": 66, "nv": 66, "bcc": 18}
    assert set(clinic.frame.loc[clinic.frame["target"] == 1, "diagnosis"]) == {"mel", "bcc"}


def test_patients_have_lesions_and_lesions_have_photos(clinic: Manifest) -> None:
    by_lesion, by_patient = clinic.frame.groupby("lesion_id"), clinic.frame.groupby("patient_id")
    assert by_lesion.size().between(1, 4).all()
    assert 0.25 < (by_lesion.size() > 1).mean() < 0.5
    lesions = by_patient["lesion_id"].nunique()
    assert lesions.between(1, 3).all()
    assert 0.15 < (lesions > 1).mean() < 0.45
    for name in ("diagnosis", "patient_id", "site"):
        assert (by_lesion[name].nunique() == 1).all()
    for name in ("sex", "group_id"):
        assert (by_patient[name].nunique() == 1).all()
    assert clinic.frame["group_id"].nunique() == len(lesions)


def test_metadata_goes_with_the_diagnosis_and_some_of_each_is_missing(clinic: Manifest) -> None:
    lesions = clinic.frame.drop_duplicates("lesion_id")
    ages = lesions.groupby("diagnosis")["age_years"].mean()
    assert ages["mel"] > ages["nv"] + 4
    assert ages["bcc"] > ages["nv"] + 4
    assert lesions["age_years"].dropna().between(5, 85).all()
    assert (lesions["age_years"].dropna() % 5 == 0).all()
    head = (lesions["site"] == "head/neck").groupby(lesions["diagnosis"]).mean()
    assert head["bcc"] > head["nv"] + 0.1
    for missing in (lesions["age_years"].isna(), lesions["sex"] == "", lesions["site"] == ""):
        assert 0 < missing.mean() < 0.15


def thumbnail(image: Pixels) -> Features:
    """The lesion's place, coarsely, and how dark, large and uneven it is against the skin around it."""
    values = image.astype(float)
    grey = values.mean(axis=2)
    skin = np.median(np.concatenate([grey[:3].ravel(), grey[-3:].ravel()]))
    inner = grey[HEIGHT // 4 : -HEIGHT // 4, WIDTH // 4 : -WIDTH // 4]
    shape = [(grey < skin - 25).mean() * 9, (inner.mean() - skin) / 25, inner.std() / 10]
    return np.concatenate([values.reshape(6, 6, 8, 6, 3).mean(axis=(1, 3)).ravel() / 255, shape])


def corners(image: Pixels, side: int = 6) -> Features:
    """What lies beyond the lesion: skin, light, hair, rulers, vignette and noise."""
    values = image.astype(float)
    rows, columns = (slice(None, side), slice(-side, None)), (slice(None, side), slice(-side, None))
    parts = np.stack([values[row, column] for row in rows for column in columns])
    return np.array([*parts.mean(axis=(0, 1, 2)), parts.std(axis=(1, 2)).mean(), parts.min(), parts.max()])


def held_out_auc(frame: pd.DataFrame, features: Features) -> float:
    """Melanoma against nevus: learned on one half of the patients, judged on the other, and the other way round."""
    half = frame["patient_id"].factorize()[0] % 2
    answers = (frame["diagnosis"] == "mel").to_numpy()
    areas = []
    for number in (0, 1):
        learn, judge = half == number, half != number
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.03, max_iter=500)).fit(features[learn], answers[learn])
        areas.append(roc_auc_score(answers[judge], model.decision_function(features[judge])))
    return float(np.mean(areas))


def test_the_class_shows_in_the_lesion_and_not_in_what_surrounds_it(clinic: Manifest, photos: list[Pixels]) -> None:
    pigmented = clinic.frame["diagnosis"].isin(("mel", "nv")).to_numpy()
    frame = clinic.frame[pigmented].reset_index(drop=True)
    chosen = [photo for photo, kept in zip(photos, pigmented, strict=True) if kept]
    assert held_out_auc(frame, np.stack([thumbnail(photo) for photo in chosen])) > 0.65
    assert 0.35 < held_out_auc(frame, np.stack([corners(photo) for photo in chosen])) < 0.65


def test_nuisances_are_drawn_whatever_the_class(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[str, float]] = []

    def recording(name: str, artefact: Artefact) -> Artefact:
        def draw(image: Pixels, rng: np.random.Generator, severity: float) -> Pixels:
            drawn.append((name, severity))
            return artefact(image, rng, severity)

        return draw

    for name, artefact in list(ARTEFACTS.items()):
        monkeypatch.setitem(ARTEFACTS, name, recording(name, artefact))
    photos = []
    for seed in range(12):
        by_class = []
        for diagnosis in ("mel", "nv", "bcc"):
            drawn.clear()
            paint(diagnosis, seed, 0, (24, 32))
            by_class.append(list(drawn))
        assert by_class[0] == by_class[1] == by_class[2]
        photos.append({name for name, _ in drawn})
    assert 0 < sum("hair" in names for names in photos) < 12
    assert all({"vignette", "noise"} <= names for names in photos)


def test_photos_of_one_lesion_resemble_each_other(clinic: Manifest, photos: list[Pixels]) -> None:
    lesions = clinic.frame["lesion_id"].to_numpy()
    colours = np.stack([np.concatenate([image.mean(axis=(0, 1)), image.std(axis=(0, 1))]) for image in photos])
    apart = np.linalg.norm(colours[:, None] - colours[None], axis=2) + np.where(np.eye(len(colours)), np.inf, 0)
    siblings = clinic.frame["lesion_id"].duplicated(keep=False).to_numpy()
    found = (lesions[apart.argmin(axis=1)] == lesions)[siblings].mean()
    assert found > 0.03


@given(
    st.sampled_from(sorted(ARTEFACTS)),
    st.integers(16, 40),
    st.integers(16, 40),
    st.floats(0, 5),
    st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_an_artefact_keeps_form_and_follows_its_generator(name: str, height: int, width: int, severity: float, seed: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    before = image.copy()
    drawn, again = (ARTEFACTS[name](image, np.random.default_rng(seed), severity) for _ in range(2))
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    assert (drawn == again).all()
    assert (image == before).all()
    assert not np.shares_memory(drawn, image)


@pytest.mark.parametrize("name", list(ARTEFACTS))
def test_an_artefact_changes_an_image_more_with_severity(name: str, sample: Pixels) -> None:
    def change(severity: float) -> float:
        drawn = [ARTEFACTS[name](sample, np.random.default_rng(seed), severity) for seed in range(8)]
        return float(np.mean([abs(image.astype(int) - sample).mean() for image in drawn]))

    assert change(1) < change(3) < change(5)


@pytest.mark.parametrize("name", sorted(set(ARTEFACTS) - {"blur", "jpeg", "resolution"}))
def test_another_generator_draws_another_artefact(name: str, sample: Pixels) -> None:
    drawn = {ARTEFACTS[name](sample, np.random.default_rng(seed), 3.0).tobytes() for seed in range(6)}
    assert len(drawn) >= 5


@pytest.mark.parametrize("name", sorted(ARTEFACTS))
def test_severity_zero_draws_nothing(name: str, sample: Pixels) -> None:
    for seed in range(4):
        assert (ARTEFACTS[name](sample, np.random.default_rng(seed), 0.0) == sample).all()


@pytest.mark.parametrize("name", ["bubbles", "hair", "ink", "ruler"])
def test_what_is_drawn_on_an_image_leaves_the_rest_of_it(name: str, sample: Pixels) -> None:
    drawn = ARTEFACTS[name](sample, np.random.default_rng(1), 2.0)
    untouched = (drawn == sample).all(axis=2).mean()
    assert 0.5 < untouched < 1
