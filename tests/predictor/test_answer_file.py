"""A file of answers: whatever interrupts it, the same command ends with the same bytes, and another one is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from stub_predictor import CLASSES, StubPredictor, write_images

from nevus.data.cases import Case
from nevus.errors import DataError, NevusError
from nevus.evaluation.submission import write_submission
from nevus.predictor.answer_file import Written, write_answers


class _Killed(BaseException):
    pass


def written(cases: list[Case], out: Path, predictor: Any = None, **asked: Any) -> Written:
    layout, report = asked.pop("layout", None), asked.pop("report", lambda done, of: None)
    return write_answers(predictor or StubPredictor(), cases, out, asked, layout=layout, report=report)


def killed_at(num_done: int) -> Callable[[int, int], None]:
    def report(done: int, _: int) -> None:
        if done >= num_done:
            raise _Killed

    return report


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    return write_images(tmp_path_factory.mktemp("images"), 70)


@pytest.mark.parametrize(("name", "layout"), [("a.csv", None), ("a.jsonl", None), ("a.csv", "isic2018")])
def test_a_killed_run_goes_on_and_ends_with_the_bytes_of_one_that_was_not(
    cases: list[Case], tmp_path: Path, name: str, layout: str | None
) -> None:
    whole = tmp_path / "whole" / name
    written(cases, whole, layout=layout)
    out = tmp_path / name
    for num_done in (32, 64, 70):
        with pytest.raises(_Killed):
            written(cases, out, layout=layout, report=killed_at(num_done))
        assert not out.exists(), "nothing takes the name before all is answered"
    again = StubPredictor()
    written(cases, out, again, layout=layout)
    assert again.asked == [], "all was answered already"
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [name, f"{name}.json"]


@pytest.mark.parametrize("share", [0, 0.001, 0.3, 0.5, 0.7, 1])
def test_a_line_cut_anywhere_is_done_again_and_not_the_whole_ones(cases: list[Case], tmp_path: Path, share: float) -> None:
    out, whole, part = tmp_path / "a.csv", tmp_path / "whole.csv", tmp_path / "a.csv.part"
    written(cases, whole)
    with pytest.raises(_Killed):
        written(cases, out, report=killed_at(64))
    content = part.read_bytes()
    kept = content[: int(share * (len(content) - 1))]
    part.write_bytes(kept)
    again = StubPredictor()
    written(cases, out, again)
    assert sum(len(asked["sex"]) for asked in again.asked) == len(cases) - 32 * kept.count(b"\n")
    assert out.read_bytes() == whole.read_bytes()


def test_a_power_cut_that_leaves_zeros_is_a_cut_line(cases: list[Case], tmp_path: Path) -> None:
    out, whole, part = tmp_path / "a.csv", tmp_path / "whole.csv", tmp_path / "a.csv.part"
    written(cases, whole)
    with pytest.raises(_Killed):
        written(cases, out, report=killed_at(64))
    content = part.read_bytes()
    part.write_bytes(content[: content.index(b"\n") + 1] + bytes(300) + b"\n")
    written(cases, out)
    assert out.read_bytes() == whole.read_bytes()


def test_batches_are_the_same_wherever_a_run_goes_on(cases: list[Case], tmp_path: Path) -> None:
    """The cause removed: going on in the middle of a batch would change last digits, and be seen."""
    written(cases, tmp_path / "whole.csv")
    with pytest.raises(_Killed):
        written(cases, tmp_path / "a.csv", report=killed_at(32))
    line = json.loads((tmp_path / "a.csv.part").read_text().splitlines()[0])
    (tmp_path / "a.csv.part").write_text(json.dumps(line[:20]) + "\n")
    written(cases, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes() != (tmp_path / "whole.csv").read_bytes()


def test_another_request_on_the_same_file_is_refused_and_says_what_differs(cases: list[Case], tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    with pytest.raises(_Killed):
        written(cases, out, operating_point="youden", report=killed_at(32))
    part = (tmp_path / "a.csv.part").read_bytes()
    known = [Case(cases[0].image, age_years=61.0), *cases[1:]]
    for predictor, given, point, differs in (
        (StubPredictor(checksum="1" * 64), cases, "youden", "bundle: 000000000000…, now 111111111111…"),
        (StubPredictor(), cases[:-1], "youden", "num images: 70, now 69"),
        (StubPredictor(), known, "youden", "images and metadata: "),
        (StubPredictor(), cases, "sensitivity:0.95", "operating point: youden, now sensitivity:0.95"),
    ):
        with pytest.raises(DataError, match="was begun for something else") as error:
            written(given, out, predictor, operating_point=point)
        assert differs in str(error.value)
        assert "remove a.csv.part, a.csv.json to begin anew" in str(error.value)
        assert predictor.asked == []
    with pytest.raises(DataError, match="layout: none, now isic2018"):
        written(cases, out, operating_point="youden", layout="isic2018")
    assert (tmp_path / "a.csv.part").read_bytes() == part, "nothing is lost by a refusal"
    written(cases, out, operating_point="youden")
    with pytest.raises(DataError, match=r"remove a\.csv, a\.csv\.json to begin anew"):
        written(cases, out, operating_point="sensitivity:0.95")


def test_a_file_that_is_not_ours_is_never_replaced(cases: list[Case], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("my thesis")
    with pytest.raises(DataError, match="is there already, and not from nevus predict"):
        written(cases, tmp_path / "a.csv")
    (tmp_path / "b.csv.json").write_text("{}")
    with pytest.raises(DataError, match=r"b\.csv\.json: is there already, and does not say"):
        written(cases, tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_text() == "my thesis"
    with pytest.raises(DataError, match=r"expected a name that ends in \.csv or \.jsonl"):
        written(cases, tmp_path / "a.xlsx")


def test_two_at_once_do_not_write_one_file(cases: list[Case], tmp_path: Path) -> None:
    def second(done: int, _: int) -> None:
        if done == 32:
            with pytest.raises(NevusError, match="another nevus is writing it"):
                written(cases, tmp_path / "a.csv")

    written(cases, tmp_path / "a.csv", report=second)
    assert len(pd.read_csv(tmp_path / "a.csv")) == 70


def test_unreadable_images_are_rows_with_an_error_and_cost_no_other_answer(tmp_path: Path) -> None:
    cases = write_images(tmp_path / "in", 40)
    for index in (3, 35):
        cases[index].image.write_text("no image")
    cases[36].image.unlink()
    done = written(cases, tmp_path / "a.csv")
    assert [error.partition(":")[0] for error in done.unreadable] == [str(cases[index].image) for index in (3, 35, 36)]
    table = pd.read_csv(tmp_path / "a.csv")
    assert table["image_id"].tolist() == [f"ISIC_{number:07d}" for number in range(40)]
    assert table.index[table["error"].notna()].tolist() == [3, 35, 36]
    assert table.index[table["p_mel"].isna()].tolist() == [3, 35, 36]
    assert written(cases, tmp_path / "a.csv") == done, "who asks again hears of them again"
    written(cases, tmp_path / "a.jsonl")
    objects = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert set(objects[3]) == {"image", "error"}
    assert set(objects[4]) == {"image", "probabilities", "malignant_probability", "decision", "refer", "reasons", "unlike"}


def test_a_submission_lacks_no_row_and_is_written_once_all_can_be_read(tmp_path: Path) -> None:
    cases, out = write_images(tmp_path / "in", 100), tmp_path / "s.csv"
    good = cases[40].image.read_bytes()
    written(cases, tmp_path / "whole.csv", layout="isic2018")
    cases[40].image.write_text("no image")
    with pytest.raises(DataError, match="1 of 100 images cannot be read") as error:
        written(cases, out, layout="isic2018")
    assert "A submission needs every image: nothing was written" in str(error.value)
    assert not out.exists()
    cases[40].image.write_bytes(good)
    again = StubPredictor()
    written(cases, out, again, layout="isic2018")
    assert sum(len(asked["sex"]) for asked in again.asked) == 68, "the first batch had no fault and is kept"
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    with pytest.raises(DataError, match="1 images are there more than once"):
        written([*cases, cases[0]], tmp_path / "t.csv", layout="isic2018")
    with pytest.raises(DataError, match="the layout has no place for wart"):
        written(cases, tmp_path / "t.csv", StubPredictor(("mel", "wart")), layout="isic2018")
    with pytest.raises(DataError, match=r"a submission is a CSV"):
        written(cases, tmp_path / "t.jsonl", layout="isic2018")


@pytest.mark.parametrize("layout", ["isic2018", "isic2019", "isic2020", "isic2024"])
def test_a_submission_is_what_write_submission_makes_of_the_answers(cases: list[Case], tmp_path: Path, layout: str) -> None:
    """Two ways to one file, the other one by pandas: they must agree to the last digit but one."""
    written(cases, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text().startswith(f"image_id,image,p_{CLASSES[0]},")
    notes = write_submission(tmp_path / "a.csv", tmp_path / "theirs.csv", layout)[1:]
    assert list(written(cases, tmp_path / "s.csv", layout=layout).notes) == notes
    ours, theirs = (pd.read_csv(tmp_path / name) for name in ("s.csv", "theirs.csv"))
    pd.testing.assert_frame_equal(ours, theirs, rtol=1e-14)
