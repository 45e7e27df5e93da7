"""Conformal sets of a predictions file: quantiles from validation rows, coverage counted by hand, too few said so."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from nevus.evaluation.evaluate import evaluate
from nevus.evaluation.predictions import Predictions

CLASSES = ("bcc", "mel", "nv")


def predictions(seed: int = 0, *, num_images: int = 150, protocol: str = "strict", validation: bool = True) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    tables = []
    for fold in (0, 1):
        for part in ("validation", "test") if validation else ("test",):
            targets = rng.choice(3, num_images, p=[0.04, 0.3, 0.66])
            logits = rng.normal(size=(num_images, 3)) + 1.2 * np.eye(3)[targets]
            probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            names = [f"{part[0]}{fold}_{number}" for number in range(num_images)]
            table = pd.DataFrame({"image_id": names, "fold": fold, "split": part, "protocol": protocol})
            table["target"] = np.array(CLASSES)[targets]
            table["group_id"] = [f"g{name}" for name in names]
            table["sex"] = rng.choice(["male", "female", ""], num_images)
            table["site"] = rng.choice(["head/neck", "torso"], num_images)
            table["age_years"] = rng.choice([10.0, 20.0, 59.9, np.nan], num_images)
            tables.append(table.assign(**{f"p_{name}": probabilities[:, k] for k, name in enumerate(CLASSES)}))
    return pd.concat(tables, ignore_index=True)


def section(table: pd.DataFrame) -> dict[str, Any]:
    found: dict[str, Any] = evaluate(Predictions.from_frame(table), num_resamples=5)["conformal"]
    return found


def by_hand(table: pd.DataFrame, coverage: float) -> pd.DataFrame:
    """The test rows with `size` and `hit` of their LAC sets, each fold calibrated on its own single images."""
    parts = []
    for _, rows in table.groupby("fold"):
        true = 1 - np.array([row[f"p_{row['target']}"] for _, row in rows.iterrows()])
        calibrating = np.sort(true[rows["split"] == "validation"])
        quantile = calibrating[int(np.ceil(coverage * (len(calibrating) + 1) - 1e-9)) - 1]
        test = rows[rows["split"] == "test"].copy()
        test["size"] = (1 - test[[f"p_{name}" for name in CLASSES]] <= quantile).sum(axis=1)
        test["hit"] = true[rows["split"] == "test"] <= quantile
        parts.append(test)
    return pd.concat(parts)


@pytest.mark.slow
@pytest.mark.parametrize("coverage", [0.90, 0.95])
def test_figures_are_those_counted_by_hand(coverage: float) -> None:
    table = predictions()
    found, expected = section(table)["methods"]["lac"][f"{coverage:.2f}"], by_hand(table, coverage)
    single = expected["size"] == 1
    assert found["figures"]["coverage"]["value"] == pytest.approx(expected["hit"].mean())
    assert found["figures"]["group_coverage"]["value"] == pytest.approx(expected["hit"].mean())  # groups of one image
    assert found["figures"]["mean_size"]["value"] == pytest.approx(expected["size"].mean())
    assert found["figures"]["single"]["value"] == pytest.approx(single.mean())
    assert found["figures"]["single_right"]["value"] == pytest.approx(expected["hit"][single].mean())
    assert found["figures"]["single_right"]["n"] == single.sum()
    assert found["figures"]["empty"]["value"] == pytest.approx((expected["size"] == 0).mean())
    for name, figure in found["per_class"].items():
        of_class = expected["target"] == name
        assert (figure["value"], figure["n"]) == (pytest.approx(expected["hit"][of_class].mean()), of_class.sum())
    bands = {"under 20": expected["age_years"] == 10, "20 to 39": expected["age_years"] == 20}
    bands |= {"40 to 59": expected["age_years"] == 59.9, "not known": expected["age_years"].isna()}
    assert list(found["subgroups"]["age"]) == list(bands)
    places = {name: expected["site"] == name for name in ("head/neck", "torso")}
    for field, groups in (("age", bands), ("site", places)):
        for name, here in groups.items():
            figure = found["subgroups"][field][name]
            assert (figure["value"], figure["n"]) == (pytest.approx(expected["hit"][here].mean()), here.sum())
    assert set(found["subgroups"]["sex"]) == {"male", "female", "not known"}


def test_quantiles_come_from_validation_rows_alone_and_each_fold_has_its_own() -> None:
    table = predictions()
    changed = table.copy()
    test = changed["split"] == "test"
    changed.loc[test, [f"p_{name}" for name in CLASSES]] = np.random.default_rng(9).dirichlet(np.ones(3), test.sum())
    first, second = section(table), section(changed)
    assert first["calibrated_on"] == "validation"
    for name, levels in first["methods"].items():
        for level, part in levels.items():
            assert part["quantiles"] == second["methods"][name][level]["quantiles"]
            assert part["quantiles"]["0"] != part["quantiles"]["1"]
    changed_coverage = second["methods"]["lac"]["0.90"]["figures"]["coverage"]["value"]
    assert first["methods"]["lac"]["0.90"]["figures"]["coverage"]["value"] != changed_coverage


@pytest.mark.slow
def test_photos_of_one_lesion_have_one_weight() -> None:
    table = predictions()
    again = [table.assign(image_id=table["image_id"] + f"_{number}") for number in range(3)]
    found, repeated = section(table), section(pd.concat([table, *again], ignore_index=True))
    assert repeated["calibration"]["0"]["num_images"] == 4 * found["calibration"]["0"]["num_images"]
    assert repeated["calibration"]["0"]["num_groups"] == found["calibration"]["0"]["num_groups"]
    for name in ("lac", "class_conditional"):  # aps draws a number for each image
        for level, part in found["methods"][name].items():
            assert part["quantiles"] == repeated["methods"][name][level]["quantiles"]


def test_group_coverage_counts_a_group_once() -> None:
    table = predictions()
    test = by_hand(table, 0.9)
    large = test[~test["hit"]].iloc[0]
    copies = [table[table["image_id"] == large["image_id"]].assign(image_id=f"copy_{number}") for number in range(50)]
    figures = section(pd.concat([table, *copies], ignore_index=True))["methods"]["lac"]["0.90"]["figures"]
    assert figures["group_coverage"]["value"] == pytest.approx(test["hit"].mean())
    assert figures["coverage"]["value"] == pytest.approx(test["hit"].sum() / (len(test) + 50))


def test_a_class_of_too_few_is_in_every_set_and_that_is_said() -> None:
    found = section(predictions(num_images=150))
    groups = found["calibration"]["0"]["num_groups_per_class"]["bcc"]
    assert 0 < groups < 9
    part = found["methods"]["class_conditional"]["0.90"]
    assert part["quantiles"]["0"]["bcc"] is None
    assert part["always"]["0"] == ["bcc"]
    assert part["quantiles"]["0"]["nv"] < 1
    assert part["per_class"]["bcc"]["value"] == 1
    assert part["figures"]["empty"]["value"] == 0


@pytest.mark.slow
def test_an_images_set_depends_on_its_name_and_not_on_its_place() -> None:
    table = predictions()
    shuffled = table.sample(frac=1, random_state=3)
    for name in ("aps", "lac"):
        first, second = (section(part)["methods"][name]["0.90"] for part in (table, shuffled))
        assert first["quantiles"] == second["quantiles"]
        assert first["figures"]["coverage"]["value"] == second["figures"]["coverage"]["value"]
        assert first["figures"]["mean_size"]["value"] == second["figures"]["mean_size"]["value"]


def test_without_validation_rows_there_is_a_reason_and_a_papers_protocol_is_calibrated_on_its_test_rows() -> None:
    assert section(predictions(validation=False)) == {"reason": "fold 0 has no validation rows to fit on"}
    paper = section(predictions(protocol="paper-zoome", validation=False))
    assert paper["calibrated_on"] == "test"
    assert paper["methods"]["lac"]["0.90"]["figures"]["coverage"]["value"] >= 0.9


def test_a_perfect_predictor_answers_with_the_right_class_alone_and_a_constant_one_with_all() -> None:
    table = predictions(num_images=200)
    columns = [f"p_{name}" for name in CLASSES]
    perfect = table.assign(**{f"p_{name}": (table["target"] == name).astype(float) for name in CLASSES})
    figures = section(perfect)["methods"]["lac"]["0.95"]["figures"]
    assert [figures[name]["value"] for name in ("coverage", "mean_size", "single", "empty")] == [1, 1, 1, 0]
    table[columns] = 1 / 3
    constant = section(table)["methods"]["lac"]["0.95"]["figures"]
    assert [constant[name]["value"] for name in ("coverage", "mean_size", "single_right")] == [1, 3, None]
    assert constant["single_right"]["reason"]


def test_columns_that_are_not_there_make_no_subgroups() -> None:
    table = predictions().drop(columns=["sex", "site", "age_years", "group_id"])
    part = section(table)["methods"]["lac"]["0.90"]
    assert "subgroups" not in part
    assert part["figures"]["coverage"]["value"] > 0.8
