"""Other programs' predictions: the challenges' layouts joined with their truth; every fault named; written and read again."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit
from typer.testing import CliRunner

from nevus.cli import create_app
from nevus.errors import DataError
from nevus.evaluation.evaluate import evaluate
from nevus.evaluation.predictions import Predictions
from nevus.evaluation.submission import write_submission

COLUMNS = ["MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK"]
CLASSES = ["mel", "nv", "bcc", "akiec", "bkl", "df", "vasc", "scc"]


def one_hot(folder: Path, num_images: int = 80) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A submission whose rows sum to 1 without UNK, and its truth; both are written."""
    rng = np.random.default_rng(0)
    targets = np.arange(num_images) % 8
    probabilities = rng.dirichlet(np.ones(8), num_images) * 0.6 + 0.4 * np.eye(8)[targets]
    ids = pd.Series([f"ISIC_{number:07d}" for number in range(num_images)], name="image")
    prediction = pd.DataFrame(np.column_stack([probabilities, np.zeros(num_images)]), columns=COLUMNS)
    truth = pd.DataFrame(np.eye(9)[targets], columns=COLUMNS)
    tables = [pd.concat([ids, table], axis=1) for table in (prediction, truth)]
    for name, table in zip(("prediction", "truth"), tables, strict=True):
        table.to_csv(folder / f"{name}.csv", index=False)
    return tables[0], tables[1]


def scores(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(1)
    malignant = rng.random(60) < 0.4
    prediction = pd.DataFrame({"isic_id": [f"ISIC_{n}" for n in range(60)], "target": rng.random(60) * 0.5 + malignant * 0.5})
    truth = pd.DataFrame(
        {
            "isic_id": prediction["isic_id"][::-1],
            "benign_malignant": np.where(malignant, "malignant", "benign")[::-1],
            "patient_id": [f"IP_{n // 3}" for n in range(60)],
            "age_approx": "45",
            "sex": "female",
            "anatom_site_general": "anterior torso",
        }
    )
    prediction.to_csv(folder / "prediction.csv", index=False)
    truth.to_csv(folder / "truth.csv", index=False)
    return prediction, truth


def read(folder: Path, **options: Any) -> Predictions:
    return Predictions.read(folder / "prediction.csv", truth=folder / "truth.csv", **options)


def refused(folder: Path, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(folder, **options)
    return str(caught.value)


def test_one_hot_columns_in_any_order_and_with_suffixes(tmp_path: Path) -> None:
    prediction, _ = one_hot(tmp_path)
    whole = read(tmp_path)
    assert whole.by_column
    assert whole.sum_to_one
    assert set(whole.classes) == set(CLASSES)
    assert any("No image is of the class UNK" in note for note in whole.notes)
    mixed = prediction.assign(image=prediction["image"] + ".jpg")[[*reversed(COLUMNS), "image"]].sample(frac=1, random_state=0)
    mixed.to_csv(tmp_path / "prediction.csv", index=False)
    first, second = (table.test.set_index("image_id").sort_index() for table in (whole, read(tmp_path)))
    pd.testing.assert_frame_equal(first, second[first.columns], check_index_type=False)


def test_images_of_the_unknown_class_keep_its_column(tmp_path: Path) -> None:
    _, truth = one_hot(tmp_path)
    truth.loc[3, COLUMNS] = [*[0.0] * 8, 1.0]
    truth.to_csv(tmp_path / "truth.csv", index=False)
    table = read(tmp_path)
    assert "unk" in table.classes
    assert table.test["target"][3] == "unk"


def test_one_score_an_image_with_patients_and_metadata_of_the_truth(tmp_path: Path) -> None:
    prediction, truth = scores(tmp_path)
    table = read(tmp_path)
    expected = truth.set_index("isic_id")["benign_malignant"].reindex(prediction["isic_id"])
    assert list(table.test["target"]) == list(expected)
    assert table.classes == ("benign", "malignant")
    assert list(table.test["p_malignant"]) == list(prediction["target"])
    assert table.test["group_id"].nunique() == 20
    assert (table.test["site"] == "torso").all()
    document = evaluate(table, num_resamples=20)
    assert document["num_groups"] == 20
    assert document["metrics"]["auc"]["value"] > 0.9


def test_a_manifest_is_a_truth_too_and_gives_lesions(tmp_path: Path) -> None:
    prediction, truth = one_hot(tmp_path)
    diagnosis = [CLASSES[index] for index in truth[COLUMNS].to_numpy().argmax(axis=1)]
    manifest = pd.DataFrame({"image_id": truth["image"], "path": "", "diagnosis": diagnosis, "dataset": "d"})
    manifest["lesion_id"] = [f"L{number // 2}" for number in range(len(manifest))]
    manifest.to_csv(tmp_path / "truth.csv", index=False)
    table = read(tmp_path)
    assert table.test["group_id"].nunique() == 40
    # Rows of ours without a target are answered by it as well, and rows with one are compared.
    own = prediction.drop(columns="UNK").rename(
        columns={"image": "image_id", **dict(zip(COLUMNS, [f"p_{c}" for c in CLASSES], strict=False))}
    )
    own.to_csv(tmp_path / "prediction.csv", index=False)
    assert list(read(tmp_path).test["target"]) == diagnosis
    own.assign(target=diagnosis).iloc[:70].to_csv(tmp_path / "prediction.csv", index=False)
    table = read(tmp_path)
    assert any("10 images" in note for note in table.notes)
    assert len(table.test) == 70
    own.assign(target=["bcc", *diagnosis[1:]]).to_csv(tmp_path / "prediction.csv", index=False)
    assert f"row 2: target 'bcc': {tmp_path / 'truth.csv'} says 'mel'" in refused(tmp_path)
    own.assign(image_id=["other", *own["image_id"][1:]]).to_csv(tmp_path / "prediction.csv", index=False)
    assert "row 2: image_id 'other': is not in" in refused(tmp_path)


def test_missing_repeated_and_unknown_images_and_bad_values_are_named_at_once(tmp_path: Path) -> None:
    prediction, _ = one_hot(tmp_path)
    bad = prediction.astype(object)
    bad.loc[1, "image"] = "ISIC_0000000"
    bad.loc[2, "image"] = "ISIC_9999999"
    bad.loc[3, "NV"] = float("nan")
    bad.loc[4, "BKL"] = -0.25
    bad.loc[5, "MEL"] = "high"
    bad.drop(index=79).to_csv(tmp_path / "prediction.csv", index=False)
    message = refused(tmp_path)
    for part in (
        "prediction.csv: 8 problems:",
        "row 3: image 'ISIC_0000000': is there twice, first in row 2",
        f"row 4: image 'ISIC_9999999': is not in {tmp_path / 'truth.csv'}",
        "row 5: NV '': expected a probability from 0 to 1",
        "row 6: BKL '-0.25': expected a probability from 0 to 1",
        "row 7: MEL 'high': expected a probability from 0 to 1",
        "image 'ISIC_0000001' of",
        "image 'ISIC_0000079' of",
        "Mend these rows; nothing was evaluated.",
    ):
        assert part in message, part


def test_at_most_twenty_rows_are_named(tmp_path: Path) -> None:
    prediction, _ = one_hot(tmp_path)
    prediction.iloc[:40].to_csv(tmp_path / "prediction.csv", index=False)
    message = refused(tmp_path)
    assert message.count("is missing") == 20
    assert "... and 20 more" in message
    assert "would flatter" in message


@pytest.mark.parametrize(("factor", "told"), [(8.0, "--logits"), (100.0, "percentages")])
def test_what_is_no_probability_is_recognised(tmp_path: Path, factor: float, told: str) -> None:
    prediction, _ = one_hot(tmp_path)
    values = {name: (np.log(prediction[name] + 0.01) if told == "--logits" else prediction[name]) * factor for name in COLUMNS}
    prediction.assign(**values).to_csv(tmp_path / "prediction.csv", index=False)
    assert told in refused(tmp_path)


def test_logits_become_probabilities(tmp_path: Path) -> None:
    prediction, _ = one_hot(tmp_path)
    expected = read(tmp_path)
    assert "no logits. Leave out --logits" in refused(tmp_path, logits=True)
    prediction.assign(**{name: np.log(prediction[name] + 1e-12) for name in COLUMNS}).to_csv(
        tmp_path / "prediction.csv", index=False
    )
    table = read(tmp_path, logits=True)
    assert table.probabilities(table.test) == pytest.approx(expected.probabilities(expected.test), abs=1e-9)
    assert any("softmax over 9 columns" in note for note in table.notes)


def test_a_logit_of_one_score_goes_through_the_logistic_function(tmp_path: Path) -> None:
    prediction, _ = scores(tmp_path)
    assert "no logits. Leave out --logits" in refused(tmp_path, logits=True)
    odds = pd.Series(logit(prediction["target"].clip(1e-9, 1 - 1e-9)))
    prediction.assign(target=odds).to_csv(tmp_path / "prediction.csv", index=False)
    assert "--logits" in refused(tmp_path)
    assert read(tmp_path, logits=True).test["p_malignant"].to_numpy() == pytest.approx(prediction["target"])
    prediction.assign(target=odds.where(odds.index != 4, np.inf)).to_csv(tmp_path / "prediction.csv", index=False)
    assert "row 6: target 'inf': expected a finite number" in refused(tmp_path, logits=True)


def test_logits_of_our_own_layout(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"image_id": ["a", "b", "c"], "target": ["x", "y", "y"], "p_x": [2.0, -1.0, 0.0], "p_y": [0.0, 1.0, 3.0]}
    )
    table.to_csv(tmp_path / "prediction.csv", index=False)
    with pytest.raises(DataError, match="give --logits"):
        Predictions.read(tmp_path / "prediction.csv")
    found = Predictions.read(tmp_path / "prediction.csv", logits=True).test["p_x"]
    assert found.to_numpy() == pytest.approx(1 / (1 + np.exp(-(table["p_x"] - table["p_y"]))))


def test_layouts_that_are_none(tmp_path: Path) -> None:
    prediction, truth = one_hot(tmp_path)
    with pytest.raises(DataError, match="Give them with --truth"):
        Predictions.read(tmp_path / "prediction.csv")
    prediction.assign(WART=0.0).to_csv(tmp_path / "prediction.csv", index=False)
    assert "column WART is no class" in refused(tmp_path)
    prediction.assign(AKIEC=0.0).to_csv(tmp_path / "prediction.csv", index=False)
    assert "has both AK and AKIEC" in refused(tmp_path)
    prediction.drop(columns="SCC").to_csv(tmp_path / "prediction.csv", index=False)
    assert "has no column for scc" in refused(tmp_path)
    prediction.rename(columns={"image": "picture"}).to_csv(tmp_path / "prediction.csv", index=False)
    assert "no layout that is known here" in refused(tmp_path)
    truth.rename(columns={"image": "picture"}).to_csv(tmp_path / "truth.csv", index=False)
    assert "no ground truth that is known here" in refused(tmp_path)
    pd.concat([truth, truth.iloc[:1]]).to_csv(tmp_path / "truth.csv", index=False)
    assert "1 images are there twice" in refused(tmp_path)


@pytest.mark.parametrize("layout", ["isic2018", "isic2019", "isic2020", "isic2024"])
def test_what_is_written_is_what_is_read(tmp_path: Path, layout: str) -> None:
    one_hot(tmp_path)
    table = read(tmp_path)
    frame = table.frame.drop(columns="p_scc") if layout == "isic2018" else table.frame
    columns = [name for name in map(str, frame) if name.startswith("p_")]
    frame = frame.assign(**frame[columns].div(frame[columns].sum(axis=1), axis=0))
    frame = frame if layout == "isic2018" else frame.assign(split=["validation", *["test"] * (len(frame) - 1)])
    frame.to_csv(tmp_path / "own.csv", index=False)
    done = CliRunner().invoke(
        create_app(), ["write-submission", str(tmp_path / "own.csv"), "--layout", layout, "--out", str(tmp_path / "s.csv")]
    )
    assert done.exit_code == 0, done.output
    written = pd.read_csv(tmp_path / "s.csv")
    assert written.iloc[:, 0].is_unique
    assert len(written) == (80 if layout == "isic2018" else 79)
    assert written.iloc[:, 1:].to_numpy().min() >= 0
    assert written.iloc[:, 1:].to_numpy().max() <= 1
    test = frame[frame["split"] == "test"] if "split" in frame else frame
    if layout in ("isic2018", "isic2019"):
        assert list(written["AKIEC" if layout == "isic2018" else "AK"]) == pytest.approx(list(test["p_akiec"]))
    else:
        malignant = ["p_mel"] if layout == "isic2020" else ["p_mel", "p_bcc", "p_akiec", "p_scc"]
        assert list(written["target"]) == pytest.approx(list(test[malignant].sum(axis=1)))


def test_submissions_that_cannot_be(tmp_path: Path) -> None:
    one_hot(tmp_path)
    frame = read(tmp_path).frame
    path, out = tmp_path / "own.csv", tmp_path / "s.csv"
    frame.to_csv(path, index=False)
    with pytest.raises(DataError, match="no place for scc"):
        write_submission(path, out, "isic2018")
    with pytest.raises(DataError, match="expected one of isic2018, isic2019, isic2020, isic2024"):
        write_submission(path, out, "isic2017")
    frame.assign(split="validation").to_csv(path, index=False)
    with pytest.raises(DataError, match="no test rows"):
        write_submission(path, out, "isic2019")
    repeated = pd.concat([frame.iloc[:3], frame.iloc[:1]])
    repeated.assign(split=["validation", *["test"] * 3]).to_csv(path, index=False)
    write_submission(path, out, "isic2019")
    repeated.iloc[1:].assign(image_id="x").to_csv(path, index=False)
    with pytest.raises(DataError, match="row 2: image_id 'x': is there twice"):
        write_submission(path, out, "isic2019")
    assert len(pd.read_csv(out)) == 3


def test_an_answer_that_is_not_understood_is_an_error_and_one_that_is_not_known_is_left_out(tmp_path: Path) -> None:
    _, truth = scores(tmp_path)
    truth.assign(benign_malignant=["maybe", *truth["benign_malignant"][1:]]).to_csv(tmp_path / "truth.csv", index=False)
    assert "benign_malignant 'maybe' in 1 rows" in refused(tmp_path)
    truth.assign(benign_malignant=["", *truth["benign_malignant"][1:]]).to_csv(tmp_path / "truth.csv", index=False)
    assert "'(empty)' in 1 rows" in refused(tmp_path)
    target = truth["benign_malignant"].map({"malignant": "1", "benign": "0"})
    manifest = pd.DataFrame({"image_id": truth["isic_id"], "path": "", "target": ["", *target[1:]]})
    manifest.to_csv(tmp_path / "truth.csv", index=False)
    table = read(tmp_path)
    assert len(table.test) == 59
    assert any(note.startswith("1 images have no answer in") for note in table.notes)


def test_a_sum_of_rounded_probabilities_stays_in_range(tmp_path: Path) -> None:
    table = pd.DataFrame({"image_id": ["a"], "p_mel": [0.5003], "p_bcc": [0.5004], "p_nv": [0.0]})
    table.to_csv(tmp_path / "own.csv", index=False)
    write_submission(tmp_path / "own.csv", tmp_path / "s.csv", "isic2024")
    assert list(pd.read_csv(tmp_path / "s.csv")["target"]) == [1.0]
