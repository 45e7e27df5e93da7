"""The models that come with nevus: found by name, the default where none is asked for, and never before a file that is there."""

from pathlib import Path

import pytest

from command_line import nevus
from nevus.errors import DataError
from nevus.predictor import shipped


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("a", shipped.DEFAULT, "z"):
        (folder / f"{name}.nevus").write_bytes(b"")
    monkeypatch.setattr(shipped, "_FOLDER", folder)
    return folder


def test_the_default_comes_first_and_answers_where_none_is_named(folder: Path) -> None:
    assert shipped.shipped_names() == (shipped.DEFAULT, "a", "z")
    assert shipped.find_bundle(None) == folder / f"{shipped.DEFAULT}.nevus"
    assert shipped.find_bundle("z") == folder / "z.nevus"


def test_a_path_that_is_there_comes_before_a_name(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    assert shipped.find_bundle("a") == Path("a")
    assert shipped.find_bundle("elsewhere/bundle") == Path("elsewhere/bundle")


def test_a_model_that_does_not_come_with_nevus_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DataError, match="larger: does not come with this copy of nevus, which has mobile-int8, a, z"):
        shipped.shipped_bundle("larger")
    (folder / f"{shipped.DEFAULT}.nevus").unlink()
    (tmp_path / "lesion.jpg").write_bytes(b"")
    code, out, err = nevus(monkeypatch, capsys, "predict", tmp_path / "lesion.jpg")
    assert (code, out) == (2, "")
    assert "which has a, z. Give one of your own: --bundle." in err
