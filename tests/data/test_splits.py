from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from nevus.data.manifest import Manifest
from nevus.data.splits import PROTOCOLS, Folds, label, split
from nevus.data.stratify import deal_groups
from nevus.errors import DataError
from nevus.recipe import Protocol


def manifest(seed: int = 0, num_images: int = 300, num_patients: int = 120, rare: int = 30) -> Manifest:
    rng = np.random.default_rng(seed)
    diagnoses = np.where(np.arange(num_images) < rare, "df", np.where(rng.random(num_images) < 0.3, "mel", "nv"))
    table = pd.DataFrame({"image_id": [f"i{number:05d}" for number in rng.permutation(num_images)]})
    table = table.assign(path=table["image_id"], dataset="d", diagnosis=diagnoses)
    table["patient_id"] = [f"P{number}" for number in rng.integers(0, num_patients, num_images)]
    table["lesion_id"] = [f"L{number}" for number in rng.integers(0, 2 * num_patients, num_images)]
    table["lesion_id"] = table["patient_id"] + table["lesion_id"]
    table["age_years"] = np.where(rng.random(num_images) < 0.1, "", "50")
    return Manifest.build(table, Path(), Path("m.csv"), check_files=False)


@given(st.integers(0, 10_000), st.integers(2, 6))
@settings(max_examples=12)
def test_strict_never_lets_a_group_cross(seed: int, num_folds: int) -> None:
    rows = manifest(seed)
    folds = split(rows, task="diagnosis", num_folds=num_folds, seed=seed)
    groups = rows.frame["group_id"].to_numpy()
    tested = []
    for fold in folds.tested:
        parts = folds.parts(rows, fold)
        sets = [set(groups[part]) for part in (parts.train, parts.validation, parts.test)]
        assert not sets[0] & sets[1]
        assert not sets[0] & sets[2]
        assert not sets[1] & sets[2]
        assert len(parts.train) + len(parts.validation) + len(parts.test) == len(rows)
        tested += parts.test.tolist()
    assert sorted(tested) == list(range(len(rows)))


@pytest.mark.parametrize("protocol", list(PROTOCOLS))
def test_the_same_rows_in_another_order_have_the_same_folds(protocol: Protocol) -> None:
    rows = manifest()
    shuffled = Manifest(rows.frame.sample(frac=1, random_state=1).reset_index(drop=True), rows.root, rows.path)
    first, second, other = (
        split(part, task="diagnosis", protocol=protocol, seed=seed).frame for part, seed in ((rows, 3), (shuffled, 3), (rows, 4))
    )
    assert dict(zip(first["image_id"], first["fold"], strict=True)) == dict(zip(second["image_id"], second["fold"], strict=True))
    assert dict(zip(first["image_id"], first["fold"], strict=True)) != dict(zip(other["image_id"], other["fold"], strict=True))


@pytest.mark.slow
def test_every_fold_has_about_its_share_of_every_class() -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        sizes = rng.choice([1, 2, 3, 4], 800, p=[0.74, 0.19, 0.06, 0.01])
        groups = np.repeat(np.arange(800), sizes)
        targets = np.repeat(rng.choice(7, 800, p=[0.03, 0.05, 0.11, 0.02, 0.11, 0.66, 0.02]), sizes)

        def deviation(folds: np.ndarray, targets: np.ndarray = targets) -> float:
            counts = np.array([np.bincount(targets[folds == fold], minlength=7) for fold in range(5)])
            return float(abs(counts / counts.sum(axis=0) - 0.2).mean())

        theirs = np.empty(len(groups), np.int64)
        for fold, (_, test) in enumerate(StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(groups, targets, groups)):
            theirs[test] = fold
        unstratified = np.random.default_rng(seed).integers(0, 5, 800)[groups]
        ours = deal_groups(targets, groups, np.full(5, 0.2), np.random.default_rng(seed))
        assert deviation(ours) < 0.6 * deviation(unstratified)
        assert deviation(ours) < deviation(theirs) + 0.012


def test_paper_zoome_splits_images_whoever_they_belong_to() -> None:
    rows = manifest()
    folds = split(rows, task="diagnosis", protocol="paper-zoome", num_folds=10)
    counts = folds.frame["fold"].value_counts()
    assert counts.max() - counts.min() <= 1
    parts = folds.parts(rows, 0)
    groups = rows.frame["group_id"].to_numpy()
    assert set(groups[parts.train]) & set(groups[parts.test])
    assert not set(parts.validation) & set(parts.test)


def test_paper_2022_drops_rows_without_age_and_validates_on_the_test_rows() -> None:
    rows = manifest()
    parts = split(rows, task="diagnosis", protocol="paper-2022").parts(rows, 0)
    with_age = int(rows.frame["age_years"].notna().sum())
    assert len(parts.test) == -(-with_age // 10)
    assert len(parts.train) + len(parts.test) == with_age
    assert (parts.validation == parts.test).all()


def test_paper_datta_tests_on_lesions_with_one_image() -> None:
    rows = manifest()
    parts = split(rows, task="diagnosis", protocol="paper-datta").parts(rows, 0)
    lesions = rows.frame["lesion_id"].to_numpy()
    assert not set(lesions[parts.test]) & set(lesions[parts.train])
    assert len(parts.train) + len(parts.test) == len(rows)


@pytest.mark.slow
def test_the_papers_sizes_on_the_real_table(real_data: Path) -> None:
    from nevus.data.sources import prepare

    folder = real_data / "ham10000"
    rows = prepare("ham10000", images=[folder / "images"], metadata=folder / "HAM10000_metadata.csv")
    assert len(rows) == 10_015
    assert rows.frame["group_id"].nunique() == 7_470
    siblings = rows.frame["lesion_id"].duplicated(keep=False)
    assert siblings.mean() == pytest.approx(0.449, abs=0.001)
    parts = split(rows, task="diagnosis", protocol="paper-2022").parts(rows, 0)
    assert (len(parts.train), len(parts.test)) == (8_962, 996)
    lesions = rows.frame["lesion_id"].to_numpy()
    assert np.isin(lesions[parts.test], lesions[parts.train]).mean() == pytest.approx(0.42, abs=0.04)
    assert len(split(rows, task="diagnosis", protocol="paper-datta").parts(rows, 0).test) == 828
    strict = split(rows, task="diagnosis")
    parts = strict.parts(rows, 0)
    assert not np.isin(lesions[parts.test], lesions[parts.train]).any()


def test_a_class_with_fewer_groups_than_folds_is_refused() -> None:
    with pytest.raises(DataError, match=r"10 folds need at least 10 separate groups.*df has [1-4]\..*Use fewer folds"):
        split(manifest(rare=4), task="diagnosis", num_folds=10)


def test_folds_are_a_file(tmp_path: Path) -> None:
    rows = manifest()
    folds = split(rows, task="diagnosis", seed=7)
    folds.write(tmp_path / "folds.csv")
    assert (tmp_path / "folds.csv").read_text().startswith("# nevus folds task=diagnosis protocol=strict seed=7")
    again = Folds.read(tmp_path / "folds.csv", rows)
    for fold in folds.tested:
        assert (again.parts(rows, fold).validation == folds.parts(rows, fold).validation).all()


def broken(path: Path, change: str, rows: Manifest) -> None:
    lines = path.read_text().splitlines()
    if change == "another manifest":
        lines[0] = lines[0].replace("manifest_sha256=", "manifest_sha256=0")
    elif change == "image without fold":
        del lines[5]
    elif change == "unknown image":
        lines.append("stranger,0")
    elif change == "twice":
        lines.append(lines[5])
    elif change == "no number":
        lines[5] = lines[5].split(",")[0] + ",first"
    elif change == "no header":
        del lines[0]
    elif change == "unknown protocol":
        lines[0] = lines[0].replace("protocol=strict", "protocol=loose")
    elif change == "group in two folds":
        several = rows.frame[rows.frame["group_id"].duplicated(keep=False)].iloc[0]["image_id"]
        place = next(number for number, line in enumerate(lines) if line.startswith(f"{several},"))
        lines[place] = f"{several},{(int(lines[place][-1]) + 1) % 5}"
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("another manifest", "was made for another manifest"),
        ("image without fold", "has no fold"),
        ("unknown image", "stranger: in the folds, not in the manifest"),
        ("twice", "appears more than once"),
        ("no number", "row 6: fold 'first'"),
        ("no header", "its first line must be"),
        ("unknown protocol", "protocol 'loose'"),
        ("group in two folds", "groups lie in two folds"),
    ],
)
def test_broken_folds_are_refused(tmp_path: Path, change: str, message: str) -> None:
    rows = manifest()
    split(rows, task="diagnosis").write(tmp_path / "folds.csv")
    broken(tmp_path / "folds.csv", change, rows)
    with pytest.raises(DataError, match=message):
        Folds.read(tmp_path / "folds.csv", rows)


def test_a_fold_that_is_not_there() -> None:
    rows = manifest()
    with pytest.raises(DataError, match="fold 9: there are only 0, 1, 2, 3, 4"):
        split(rows, task="diagnosis").parts(rows, 9)


def test_labels() -> None:
    assert {name: label(name) for name in PROTOCOLS} == {
        "strict": "strict",
        "paper-zoome": "paper-zoome (optimistic)",
        "paper-2022": "paper-2022 (optimistic)",
        "paper-datta": "paper-datta (optimistic)",
    }
