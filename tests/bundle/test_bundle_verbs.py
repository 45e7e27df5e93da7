"""`nevus bundle …` and `nevus predict` with one file, as a stranger meets them."""

import json
from pathlib import Path

import pytest
from small_bundle import whole_bundle

from command_line import nevus
from nevus.bundle import Bundle
from nevus.bundle.hub import origin_path
from nevus.files import write_json

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whole_bundle(
        tmp_path_factory.mktemp("verbs") / "bundle",
        classes=["mel", "nv"],
        operating_point={"positive": "mel", "rule": "youden", "threshold": 0.3, "chosen_on": "40 validation images"},
        operating_points=[{"rule": "sensitivity:0.95", "threshold": 0.1, "sensitivity": 0.96, "specificity": 0.5}],
        evaluation={"metrics": {"auc": {"value": 0.9, "low": 0.8, "high": 0.95, "n": 40}}},
    ).path


def test_show_says_what_a_stranger_asks(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    code, out, err = nevus(monkeypatch, capsys, "bundle", "show", folder)
    assert code == 0
    for words in (
        "Classes: mel (melanoma), nv (melanocytic nevus)",
        "Operating point: mel from probability 0.3000 on (youden, 40 validation images)",
        "Temperature: 1.250",
        "Threshold sensitivity:0.95: 0.1000, sensitivity 0.960 and specificity 0.500",
        "Image licences: CC-BY-NC-4.0 90, CC-0 10",
        "Figures: auc 0.900 (0.800 to 0.950, n 40)",
        f"{Bundle.load(folder).document['files']['model.onnx']}        5,400 bytes  model.onnx",
    ):
        assert words in out, words
    assert "not for diagnosis" in err


def test_show_as_one_document(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    packed = tmp_path / "lesions.nevus"
    code, out, _ = nevus(monkeypatch, capsys, "bundle", "pack", folder, "--out", packed)
    assert (code, out.strip()) == (0, str(packed))
    bundle = Bundle.load(packed)
    write_json(origin_path(packed), {"commit": "0" * 40, "checksum": bundle.document["checksum"]})
    code, out, _ = nevus(monkeypatch, capsys, "bundle", "show", packed, "--json")
    document = json.loads(out)
    assert code == 0
    assert document["classes"] == ["mel", "nv"]
    assert document["origin"]["commit"] == "0" * 40
    assert [file["name"] for file in document["files"]] == list(bundle.names)
    assert all(file["num_bytes"] == len(bundle.read(file["name"])) and len(file["sha256"]) == 64 for file in document["files"])
    # What lies beside it of another bundle says nothing of this one.
    write_json(origin_path(packed), {"commit": "0" * 40, "checksum": "another's"})
    assert json.loads(nevus(monkeypatch, capsys, "bundle", "show", packed, "--json")[1])["origin"] is None


def test_pack_and_unpack_give_it_back(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    assert nevus(monkeypatch, capsys, "bundle", "pack", folder, "--out", tmp_path / "a.nevus")[0] == 0
    code, out, _ = nevus(monkeypatch, capsys, "bundle", "unpack", tmp_path / "a.nevus", "--out", tmp_path / "a")
    assert (code, out.strip()) == (0, str(tmp_path / "a"))
    assert {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }
    code, _, err = nevus(monkeypatch, capsys, "bundle", "unpack", tmp_path / "a.nevus", "--out", tmp_path / "a")
    assert code == 2
    assert "is there already" in err


@pytest.mark.parametrize("verb", [["show"], ["verify"], ["pack", "--out", "x.nevus"], ["unpack", "--out", "x"], ["push", "me/x"]])
def test_what_was_changed_exits_with_two_and_leaves_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, verb: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert nevus(monkeypatch, capsys, "bundle", "pack", folder, "--out", "good.nevus")[0] == 0
    content = Path("good.nevus").read_bytes()
    Path("bad.nevus").write_bytes(content[:2000] + bytes([content[2000] ^ 4]) + content[2001:])
    code, out, err = nevus(monkeypatch, capsys, "bundle", verb[0], "bad.nevus", *verb[1:])
    assert (code, out) == (2, "")
    assert "bad.nevus" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.nevus", "good.nevus"]


def test_verify_refuses_a_model_that_is_none(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    code, out, err = nevus(monkeypatch, capsys, "bundle", "verify", folder)
    assert code == 2
    assert "4 files are as they were written" in out
    assert "no safetensors file" in err


def test_predict_says_where_no_bundle_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")
    for name, words in (("none.nevus", "no such file or folder"), ("photo.jpg", "no zip archive"), (".", "not a bundle")):
        code, _, err = nevus(monkeypatch, capsys, "predict", tmp_path / "photo.jpg", "--bundle", tmp_path / name)
        assert code == 2
        assert words in err
