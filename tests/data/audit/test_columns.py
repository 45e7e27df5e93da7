from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nevus.data.audit.columns import MIN_INFORMATION, audit_columns, information
from nevus.data.audit.pool import pool
from nevus.data.manifest import Manifest
from nevus.data.tables import read_table


def test_information_is_all_nothing_or_what_theory_says() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 20_000)
    answers, groups = pd.Series(truth).map({0: "nv", 1: "mel"}), np.arange(20_000)
    assert information(answers, answers, groups) == pytest.approx(1, abs=0.01)
    assert information(pd.Series(rng.random(20_000)).astype(str), answers, groups) == pytest.approx(0, abs=0.01)
    flipped = np.where(rng.random(20_000) < 0.1, 1 - truth, truth)
    expected = 1 + 0.1 * np.log2(0.1) + 0.9 * np.log2(0.9)
    assert information(pd.Series(flipped).astype(str), answers, groups) == pytest.approx(expected, abs=0.01)


def test_an_id_of_its_own_group_tells_nothing() -> None:
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(60), 20)
    answers = pd.Series(np.where(rng.random(60) < 0.5, "nv", "mel")[groups].tolist())
    assert information(pd.Series([f"lesion {group}" for group in groups]), answers, groups) < 0.02


def test_leaking_and_forbidden_columns_are_named() -> None:
    rng = np.random.default_rng(2)
    num = 400
    diagnosis = np.where(rng.random(num) < 0.5, "nv", "mel")
    ids = [f"i{number:04d}" for number in rng.permutation(num)]
    table = pd.DataFrame(
        {"image_id": ids, "path": [f"{name}/x.jpg" for name in diagnosis], "diagnosis": diagnosis, "dataset": "d"}
    )
    manifest = Manifest.build(table, Path(), Path("m.csv"), check_files=False)
    raw = pd.DataFrame({"image_id": ids, "dx_type": diagnosis, "age": rng.integers(20, 80, num).astype(str)})
    sizes = np.where(diagnosis == "nv", 100.0, 200.0)
    found, measured = audit_columns(pool([manifest]), {"file size": sizes}, [(Path("raw.csv"), raw), (Path("m.csv"), table)])
    named = {(item["column"], item["kind"]) for item in found}
    assert named == {("dx_type", "forbidden"), ("dx_type", "leaking"), ("path: folder", "leaking"), ("file size", "leaking")}
    assert {item["column"] for item in measured} >= {"age", "image_id: order", "order of the rows"}


def test_too_few_rows_are_not_measured() -> None:
    table = pd.DataFrame({"image_id": ["a", "b"], "path": ["a", "b"], "diagnosis": ["nv", "mel"]})
    manifest = Manifest.build(table, Path(), Path("m.csv"), check_files=False)
    found, measured = audit_columns(pool([manifest]), {"file size": np.array([1.0, 2.0])}, [])
    assert found == []
    assert measured[0]["information"] is None


@pytest.mark.slow
def test_in_the_real_table_dx_type_leaks_and_age_sex_and_site_do_not(real_data: Path) -> None:
    from nevus.data.sources import prepare

    folder = real_data / "ham10000"
    manifest = prepare("ham10000", images=[folder / "images"], metadata=folder / "HAM10000_metadata.csv")
    path = folder / "HAM10000_metadata.csv"
    found, measured = audit_columns(pool([manifest]), {}, [(path, read_table(path))])
    told = {item["column"]: item["information"] for item in measured}
    assert told["dx_type"] > MIN_INFORMATION > 1.4 * max(told["age"], told["sex"], told["localization"])
    leaking = {item["column"] for item in found if item["kind"] == "leaking"}
    assert leaking == {"dx_type", "order of the rows"}  # the published table is sorted by diagnosis
