"""The command line as a stranger meets it: exit codes, one document on standard output, messages instead of tracebacks."""

import io
import json
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest

from command_line import nevus
from nevus import __main__ as edge
from nevus.bundle import Bundle
from nevus.data.manifest import Manifest
from nevus.predictor import Predictor
from nevus.recipe import Recipe
from nevus.training.fit import fit


@pytest.fixture(scope="module")
def bundle(phantoms: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    settings = [
        "data.task=malignant",
        "data.size=32",
        "data.validation_share=0.3",
        "model.backbone=resnet10t",
        "model.fusion.kind=concat",
        "training.epochs=1",
        "training.precision=float32",
    ]
    return fit(Recipe(name="tiny").with_settings(settings), phantoms, tmp_path_factory.mktemp("fit"))


def test_help_is_quick_and_needs_neither_torch_nor_pandas() -> None:
    code = "import sys; sys.argv = ['nevus', '--help']\nfrom nevus.__main__ import main\ntry: main()\nexcept SystemExit: pass\n"
    code += "print([m for m in ('torch', 'pandas', 'numpy', 'cv2', 'matplotlib') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    for verb in ("prepare", "split", "fit", "cross-validate", "evaluate", "report", "predict", "demo"):
        assert verb in found
    assert found.rstrip().endswith("[]")


def test_python_m_nevus_is_the_same_program() -> None:
    found = subprocess.run([sys.executable, "-m", "nevus", "--version"], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "0.1.0"


def test_predict_with_any_subset_of_the_metadata(
    bundle: Bundle, phantoms: Manifest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image = phantoms.paths()[0]
    subsets: list[list[object]] = [
        [],
        ["--age", 61],
        ["--sex", "female"],
        ["--site", "back"],
        ["--age", 61, "--sex", "female", "--site", "back"],
    ]
    answers = []
    for subset in subsets:
        code, out, _ = nevus(monkeypatch, capsys, "predict", image, "--bundle", bundle.path, "--json", *subset)
        assert code == 0
        (answer,) = json.loads(out)
        always = {"image", "probabilities", "malignant_probability", "decision", "refer", "reasons"}
        assert set(answer) == always | {"novelty", "unlike", "prediction_set"}
        assert set(answer["novelty"]) == {"energy", "mahalanobis"}
        assert sum(answer["probabilities"].values()) == pytest.approx(1)
        assert answer["malignant_probability"] == pytest.approx(answer["probabilities"]["malignant"])
        answers.append(answer["malignant_probability"])
    assert len(set(answers)) == len(subsets), "the metadata must count"


def test_predict_decides_at_the_bundles_threshold_not_at_a_half(bundle: Bundle, phantoms: Manifest) -> None:
    threshold = bundle.document["operating_point"]["threshold"]
    answers = Predictor(bundle).predict(phantoms.paths()[:40])
    for answer in answers:
        assert answer.decision == ("malignant" if answer.probabilities["malignant"] >= threshold else "benign")
        unlike = any(reason.startswith("unlike the training images") for reason in answer.reasons)
        assert answer.refer == (answer.decision == "malignant" or unlike or answer.prediction_set != ["benign"])
    assert {answer.decision for answer in answers} == {"benign", "malignant"}


def test_predict_reads_folders_and_names_every_missing_place(
    bundle: Bundle, phantoms: Manifest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = nevus(monkeypatch, capsys, "predict", phantoms.root / "images", "--bundle", bundle.path)
    assert code == 0
    assert out.count("malignant in all") == len(phantoms)
    assert "not for diagnosis" in err
    code, out, err = nevus(monkeypatch, capsys, "predict", "none.jpg", "nor.png", "--bundle", bundle.path, "--json")
    assert (code, out) == (2, "")
    assert "none.jpg: no such file" in err
    assert "nor.png: no such file" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--site", "moon"], "--site 'moon': expected one of head/neck"),
        (["--sex", "x"], "--sex 'x': expected one of female, male"),
    ],
)
def test_metadata_that_is_not_understood_is_refused(
    bundle: Bundle,
    phantoms: Manifest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    code, _, err = nevus(monkeypatch, capsys, "predict", phantoms.paths()[0], "--bundle", bundle.path, *words)
    assert code == 2
    assert message in err


def test_bad_images_and_changed_bundles_exit_with_two(
    bundle: Bundle, phantoms: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cut.jpg").write_bytes(phantoms.paths()[0].read_bytes()[:300])
    code, _, err = nevus(monkeypatch, capsys, "predict", tmp_path / "cut.jpg", "--bundle", bundle.path)
    assert code == 2
    assert "cut.jpg: the image is damaged" in err
    import shutil

    copy = tmp_path / "bundle"
    shutil.copytree(bundle.path, copy)
    content = bytearray((copy / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (copy / "model.onnx").write_bytes(content)
    code, _, err = nevus(monkeypatch, capsys, "predict", phantoms.paths()[0], "--bundle", copy)
    assert code == 2
    assert "model.onnx: its SHA-256 is" in err


def test_any_image_a_user_may_have_gets_an_answer(bundle: Bundle, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (120, 90, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "grey.png"), colour[:, :, 0])
    cv2.imwrite(str(tmp_path / "sixteen.png"), colour.astype(np.uint16) * 257)
    cv2.imwrite(str(tmp_path / "alpha.png"), np.dstack([colour, np.full((120, 90), 255, np.uint8)]))
    cv2.imwrite(str(tmp_path / "large.jpg"), cv2.resize(colour, (3000, 2000)))
    for answer in Predictor(bundle).predict(sorted(tmp_path.iterdir())):
        assert 0 <= answer.malignant_probability <= 1


def test_predict_writes_thousands_into_a_file_that_evaluate_reads(
    bundle: Bundle, phantoms: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "answers.csv"
    words = ["predict", phantoms.path, "--bundle", bundle.path, "--out", out]
    code, stdout, err = nevus(monkeypatch, capsys, *words)
    assert (code, stdout) == (0, f"{out}: {len(phantoms)} of {len(phantoms)} images answered.\n")
    assert err.count("not for diagnosis") == 1
    table = pd.read_csv(out)
    columns = {name: phantoms.frame[name].to_numpy() for name in ("age_years", "sex", "site")}
    expected = Predictor(bundle).predict(phantoms.paths(), columns)
    assert table["p_malignant"].tolist() == [answer.probabilities["malignant"] for answer in expected]
    assert table["decision"].tolist() == [answer.decision for answer in expected]
    assert table["novelty"].tolist() == [answer.novelty["mahalanobis"] for answer in expected]
    code, stdout, _ = nevus(monkeypatch, capsys, "evaluate", out, "--truth", phantoms.path, "--threshold", 0.5, "--json")
    assert code == 0
    assert json.loads(stdout)["num_images"] == len(phantoms)
    before = out.read_bytes()
    code, _, err = nevus(monkeypatch, capsys, *words, "--operating-point", "sensitivity:0.95")
    assert code == 2
    assert "operating point: none, now sensitivity:0.95" in err
    assert out.read_bytes() == before


def test_predict_reads_a_table_a_list_and_standard_input_alike(
    bundle: Bundle, phantoms: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image = phantoms.paths()[0]
    table, paths = tmp_path / "cases.csv", tmp_path / "paths.txt"
    table.write_text(f"image,age_approx,localization\n{image.name},61,back\n")
    paths.write_text(f"{image}\n")
    given = ["--age", 61, "--site", "back"]
    answers = []
    for words in ([image, *given], [table, "--images", image.parent], ["--from-list", paths, *given], ["-", *given]):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(image.read_bytes()), isatty=lambda: False))
        code, out, _ = nevus(monkeypatch, capsys, "predict", *words, "--bundle", bundle.path, "--json")
        assert code == 0
        (answer,) = json.loads(out)
        assert answer.pop("image") in (str(image), "-")
        answers.append(answer)
    assert answers == [answers[0]] * 4
    code, out, err = nevus(monkeypatch, capsys, "predict", "--bundle", bundle.path)
    assert (code, out) == (2, "")
    assert "nothing to read" in err
    table.write_text("image,age,sex\nno.jpg,1000,x\n")
    code, out, err = nevus(monkeypatch, capsys, "predict", table, "--images", image.parent, "--bundle", bundle.path)
    assert (code, out) == (2, "")
    assert all(f"row 2: {fault}" in err for fault in ("image 'no.jpg'", "age '1000'", "sex 'x'"))


def test_no_bad_image_gets_a_confident_answer_and_none_costs_another_its_own(
    bundle: Bundle, phantoms: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    huge = bytearray(cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8))[1].tobytes())
    place = huge.index(b"\xff\xc0") + 5
    huge[place : place + 4] = struct.pack(">HH", 30_000, 30_000)
    bad = {"a.jpg": (bytes(huge), "at most 64 megapixels are read"), "b.jpg": (b"hello", "not an image that can be read")}
    bad["c.png"] = (cv2.imencode(".png", np.zeros((1, 1, 3), np.uint8))[1].tobytes(), "1 x 1 pixels; at least 16")
    for name, (content, message) in bad.items():
        (tmp_path / name).write_bytes(content)
        code, out, err = nevus(monkeypatch, capsys, "predict", tmp_path / name, "--bundle", bundle.path, "--json")
        assert (code, out) == (2, "")
        assert message in err
    cv2.imwrite(str(tmp_path / "flat.png"), np.full((60, 80, 3), 150, np.uint8))
    shutil.copy(phantoms.paths()[0], tmp_path / "good.jpg")
    code, out, err = nevus(monkeypatch, capsys, "predict", tmp_path, "--bundle", bundle.path, "--json")
    assert code == 2
    assert [Path(answer["image"]).name for answer in json.loads(out)] == ["flat.png", "good.jpg"]
    assert json.loads(out)[0]["refer"]
    assert "almost of one colour" in json.loads(out)[0]["reasons"][0]
    assert "3 of 5 images cannot be read" in err
    assert all(f"{name}: " in err for name in bad)


@pytest.mark.slow
def test_a_run_killed_again_and_again_writes_what_one_that_was_left_alone_does(
    bundle: Bundle, phantoms: Manifest, tmp_path: Path
) -> None:
    """With SIGKILL, wherever it happens to be; a photo that is listed twice is two cases."""
    (tmp_path / "paths.txt").write_text("".join(f"{path}\n" for path in phantoms.paths() * 8))
    command = [sys.executable, "-m", "nevus", "predict", "--from-list", "paths.txt", "--bundle", str(bundle.path), "--out"]
    subprocess.run([*command, "whole.csv"], cwd=tmp_path, check=True, capture_output=True)
    part, sizes = tmp_path / "a.csv.part", [0]
    for _ in range(4):
        process = subprocess.Popen([*command, "a.csv"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not (part.exists() and part.stat().st_size > sizes[-1]):
            time.sleep(0.002)
        process.kill()
        process.wait()
        sizes.append(part.stat().st_size if part.exists() else sizes[-1])
        assert not (tmp_path / "a.csv").exists()
    assert sizes == sorted(set(sizes)), "each went on where the one before was"
    subprocess.run([*command, "a.csv"], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


@pytest.mark.slow
def test_prepare_split_cross_validate_evaluate_and_report(
    phantoms: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mine"
    for row in phantoms.frame.itertuples():
        name = "malignant" if row.target else "benign"
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / Path(str(row.path)).name).write_bytes((phantoms.root / str(row.path)).read_bytes())
    manifest, run = tmp_path / "manifest.csv", tmp_path / "run"
    code, out, _ = nevus(monkeypatch, capsys, "prepare", "--source", "folders", "--images", folder, "--out", manifest, "--json")
    assert code == 0
    assert json.loads(out)["num_images"] == len(phantoms)
    split = ["split", manifest, "--out", tmp_path / "folds.csv", "--task", "malignant", "--folds", "2"]
    code, out, _ = nevus(monkeypatch, capsys, *split)
    assert code == 0
    assert "strict, fold 0: " in out
    code, out, _ = nevus(monkeypatch, capsys, *split, "--json")
    assert json.loads(out)["protocol"] == "strict"
    assert sum(json.loads(out)["num_images"].values()) == len(phantoms)
    (tmp_path / "r.toml").write_text(
        'name = "mine"\n[model]\nbackbone = "resnet10t"\n[training]\nepochs = 1\nprecision = "float32"\n'
    )
    words = ["--manifest", manifest, "--set", "data.size=32", "--set", "data.task=malignant", "--set", "data.num_folds=2"]
    words += ["--folds", tmp_path / "folds.csv", "--json"]
    code, out, _ = nevus(monkeypatch, capsys, "cross-validate", tmp_path / "r.toml", "--out", run, *words)
    assert code == 0
    assert json.loads(out) == json.loads((run / "evaluation.json").read_text())
    for name in ("predictions.csv", "folds.csv", "evaluation.json", "report.html", "fold-1/bundle/bundle.json"):
        assert (run / name).exists(), name
    code, out, _ = nevus(monkeypatch, capsys, "evaluate", run / "predictions.csv", "--json", "--out", tmp_path / "e.json")
    assert code == 0
    assert json.loads(out)["metrics"] == json.loads((run / "evaluation.json").read_text())["metrics"]
    code, out, _ = nevus(monkeypatch, capsys, "evaluate", run / "predictions.csv")
    assert "95% interval" in out
    assert "folds, mean ± sd" in out
    code, out, _ = nevus(monkeypatch, capsys, "report", run, "--out", tmp_path / "page.html")
    assert code == 0
    assert (tmp_path / "page.html").stat().st_size > 10_000


@pytest.mark.slow
def test_fit_prints_its_bundle(
    phantoms: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.toml").write_text('name = "mine"\n[model]\nbackbone = "resnet10t"\n[training]\nprecision = "float32"\n')
    words = ["--manifest", phantoms.path, "--set", "data.size=32", "--set", "data.task=malignant", "--set", "training.epochs=1"]
    code, out, _ = nevus(monkeypatch, capsys, "fit", tmp_path / "r.toml", "--out", tmp_path / "fit", "--json", *words)
    assert code == 0
    assert Bundle.load(json.loads(out)["bundle"]).document["operating_point"] == json.loads(out)["operating_point"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["split", "none.csv", "--out", "f.csv"], "none.csv: no such file"),
        (["split", "none.csv", "--out", "f.csv", "--folds", "1"], "num_folds"),
        (["evaluate", "none.csv"], "none.csv: no such file"),
        (["cross-validate", "none.toml", "--out", "run"], "none.toml: cannot be read"),
        (["prepare", "--source", "moon", "--images", ".", "--out", "m.csv"], "Choose one of ham10000"),
        (
            ["prepare", "--source", "ham10000", "--images", ".", "--out", "m.csv", "--missing", "x"],
            "expected error, drop or keep",
        ),
        (["prepare", "--source", "ham10000", "--images", "gone", "--out", "m.csv"], "gone: not a folder"),
        (["report", "none"], "cannot be read"),
        (["predict", "x.jpg", "--bundle", "none"], "x.jpg: no such file"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = nevus(monkeypatch, capsys, *words)
    assert (code, out) == (2, "")
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_without_a_manifest_says_how_to_give_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.toml").write_text('name = "mine"\n')
    code, _, err = nevus(monkeypatch, capsys, "fit", tmp_path / "r.toml", "--out", tmp_path / "run")
    assert code == 2
    assert "Give --manifest" in err


def test_an_interruption_exits_with_130_and_a_fault_says_that_it_is_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import nevus.cli

    def interrupted() -> None:
        raise KeyboardInterrupt

    def faulty() -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr(nevus.cli, "run", interrupted)
    assert edge.main() == 130
    monkeypatch.setattr(nevus.cli, "run", faulty)
    assert edge.main() == 2
    assert "RuntimeError: odd. This is a fault in nevus" in capsys.readouterr().err


def test_pack_says_where_it_is_and_what_was_left_out(
    phantoms: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(phantoms.root / "images", tmp_path / "images")
    manifest = Manifest(phantoms.frame, tmp_path, tmp_path / "m.csv").write(tmp_path / "m.csv")
    bad = manifest.paths()[3]
    bad.write_bytes(bad.read_bytes()[:200])
    words = ["pack", manifest.path, "--size", 32, "--folder", tmp_path / "packs"]
    code, out, err = nevus(monkeypatch, capsys, *words, "--json")
    assert (code, out) == (2, "")
    assert bad.name in err
    code, out, _ = nevus(monkeypatch, capsys, *words, "--unreadable", "skip", "--json")
    assert code == 0
    document = json.loads(out)
    assert document["num_images"] == len(manifest) - 1
    assert document["short_side"] == 40
    assert [image_id for image_id, _ in document["unreadable"]] == [manifest.frame["image_id"][3]]
    assert Path(document["pack"]).stat().st_size == document["num_bytes"]
    code, out, err = nevus(monkeypatch, capsys, *words, "--unreadable", "maybe")
    assert code == 2
    assert "--unreadable" in err


@pytest.mark.slow
def test_prepare_joins_copies_and_audit_finds_them_in_two_folds(
    phantoms: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in ("nv", "mel"):
        for row in np.flatnonzero(phantoms.frame["diagnosis"] == kind)[:12]:
            image = cv2.imread(str(phantoms.paths()[row]))
            assert image is not None
            place = tmp_path / "images" / kind / f"{phantoms.frame['image_id'][row]}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(place), cv2.resize(image, (256, 192), interpolation=cv2.INTER_CUBIC))
    original = sorted((tmp_path / "images" / "nv").iterdir())[0]
    picture = cv2.imread(str(original))
    assert picture is not None
    copy = original.with_name("again.jpg")
    cv2.imwrite(str(copy), picture, [cv2.IMWRITE_JPEG_QUALITY, 80])
    words = ["prepare", "--source", "folders", "--images", tmp_path / "images"]
    code, out, _ = nevus(monkeypatch, capsys, *words, "--out", tmp_path / "joined.csv", "--json")
    assert code == 0
    assert [sorted(pair) for pair in json.loads(out)["copies"]] == [sorted(["again", original.stem])]
    joined = Manifest.read(tmp_path / "joined.csv").frame.set_index("image_id")["group_id"]
    assert joined["again"] == joined[original.stem]
    code, out, _ = nevus(monkeypatch, capsys, *words, "--out", tmp_path / "apart.csv", "--keep-copies", "--json")
    assert (code, json.loads(out)["copies"]) == (0, [])
    apart = Manifest.read(tmp_path / "apart.csv")
    folds = pd.DataFrame({"image_id": apart.frame["image_id"], "fold": (apart.frame["image_id"] == "again").astype(int)})
    folds.to_csv(tmp_path / "folds.csv", index=False)
    audit = [
        "audit",
        apart.path,
        "--folds",
        tmp_path / "folds.csv",
        "--page",
        tmp_path / "audit.html",
        "--join",
        tmp_path / "j.csv",
    ]
    code, out, _ = nevus(monkeypatch, capsys, *audit, "--json")
    assert code == 1, "something lies in two folds"
    document = json.loads(out)
    assert [sorted(pair[:2]) for pair in document["near_duplicates"]] == [sorted(["again", original.stem])]
    assert document["crossing"]
    assert "again" in (tmp_path / "audit.html").read_text()
    again = Manifest.read(tmp_path / "j.csv").frame.set_index("image_id")["group_id"]
    assert again["again"] == again[original.stem]
    code, out, _ = nevus(monkeypatch, capsys, "audit", apart.path)
    assert code == 0
    assert "1 near-duplicate pairs" in out


def test_audit_refuses_what_it_would_not_read(
    phantoms: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, message in (
        (["--out", tmp_path / "x"], "belong to --inject"),
        (["--inject", "recipe.toml"], "--out, the experiment's folder"),
        ([phantoms.path, "--join", tmp_path / "j.csv"], "joins the copies of one manifest"),
        (["--apart", tmp_path / "a.csv"], "parts one manifest from others"),
    ):
        code, out, err = nevus(monkeypatch, capsys, "audit", phantoms.path, *words)
        assert (code, out) == (2, "")
        assert message in err
    assert list(tmp_path.iterdir()) == []


def test_download_that_needs_a_form_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = nevus(monkeypatch, capsys, "data", "download", "derm7pt", "--out", tmp_path / "d")
    assert (code, out) == (2, "")
    assert "form" in err
    code, _, err = nevus(monkeypatch, capsys, "data", "download", "ham1000", "--out", tmp_path / "d")
    assert code == 2
    assert "ham10000" in err
