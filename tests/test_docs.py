"""What the documents say works: the examples in docstrings, and every command of README, docs and recipes."""

import doctest
import pkgutil
import re
import shlex
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
import typer.core
import typer.main
from safetensors.torch import load_file

import nevus
from nevus.cli import create_app
from nevus.data.manifest import Manifest
from nevus.data.phantom import write_phantoms
from nevus.recipe import Recipe
from nevus.training.fit import fit

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))
# As published, to the letter: a GPU's work, whose scores stand in the papers.
PUBLISHED = sorted((ROOT / "recipes" / "published").glob("*.toml"))
MODULES = [module.name for module in pkgutil.walk_packages(nevus.__path__, "nevus.") if module.name != "nevus.__main__"]


def commands(page: Path) -> list[list[str]]:
    """The words of each nevus command in a page's sh blocks, or in the comments that head a recipe."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".toml":
        text = "\n".join(line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#"))
    else:
        text = "\n".join(re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL))
    lines = (line.strip() for line in text.replace("\\\n", " ").splitlines())
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith(("nevus ", ".venv/bin/nevus "))]


def run_nevus(folder: Path, words: list[str]) -> str:
    """Run a command in `folder` as a stranger would; its standard output."""
    done = subprocess.run([sys.executable, "-m", "nevus", *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_run(name: str) -> None:
    assert doctest.testmod(import_module(name)).failed == 0


@pytest.mark.slow
def test_most_modules_have_an_example() -> None:
    with_examples = [name for name in MODULES if doctest.testmod(import_module(name)).attempted]
    assert len(with_examples) > 20


@pytest.mark.parametrize("page", [*PAGES, *RECIPES, *PUBLISHED], ids=lambda page: page.name)
def test_every_command_in_the_documents_is_one_that_the_program_knows(page: Path) -> None:
    program = typer.main.get_command(create_app())
    assert isinstance(program, typer.core.TyperGroup)
    for words in commands(page):
        verb, rest = program.commands[words[0]], words[1:]
        if isinstance(verb, typer.core.TyperGroup):
            verb, rest = verb.commands[rest[0]], rest[1:]
        verb.make_context(words[0], rest)  # raises on an unknown option or a missing one


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_every_recipe_reads_and_says_how_it_was_run(path: Path) -> None:
    recipe = Recipe.read(path)
    assert recipe.name == path.stem
    head = path.read_text(encoding="utf-8").split("name =")[0]
    for word in ("nevus prepare", "Protocol", "Hardware", "minutes", "95%"):
        assert word in head, f"{path.name} does not say {word}"
    assert any(str(path.relative_to(ROOT)) in words for words in commands(path)), f"{path.name} does not say how it is run"


@pytest.mark.slow
def test_the_commands_of_the_readme_run_as_they_stand(tmp_path: Path) -> None:
    """In a folder laid out as the README assumes, with phantoms for photographs and settings that end in seconds."""
    phantoms = Manifest.read(write_phantoms(tmp_path / "demo" / "phantoms", num_lesions=140, size=(48, 64)))
    table = phantoms.frame.rename(columns={"diagnosis": "dx", "age_years": "age", "site": "localization"})
    table["dx_type"] = "histo"
    table.to_csv(tmp_path / "HAM10000_metadata.csv", index=False)
    shutil.copytree(tmp_path / "demo" / "phantoms" / "images", tmp_path / "HAM10000" / "images")
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    quick = (
        "data.size=32 data.num_folds=2 model.backbone=resnet10t model.pretrained=none model.attention.kind=none training.epochs=1"
    )
    found = commands(ROOT / "README.md")
    assert [words[0] for words in found] == ["predict", "demo", "bundle", "prepare", "cross-validate", "audit", "evaluate"]
    predict, demo, show, prepare, cross_validate, audit, evaluate = found
    shutil.copy(phantoms.paths()[0], tmp_path / "lesion.jpg")
    (tmp_path / "photos").mkdir()
    shutil.copy(phantoms.paths()[1], tmp_path / "photos")
    assert "malignant in all:" in run_nevus(tmp_path, predict)
    assert "real.html" in run_nevus(tmp_path, demo)
    assert "Image licences: CC-BY-NC-4.0" in run_nevus(tmp_path, show)
    for words in (prepare, [*cross_validate, *(part for setting in quick.split() for part in ("--set", setting))]):
        run_nevus(tmp_path, words)
    run = tmp_path / Path(cross_validate[cross_validate.index("--out") + 1])
    for name in ("predictions.csv", "folds.csv", "evaluation.json", "report.html"):
        assert (run / name).stat().st_size > 100, name
    assert "in two folds" in run_nevus(tmp_path, audit)
    assert (tmp_path / "audit.html").exists()
    shutil.copy(run / "predictions.csv", tmp_path / "predictions.csv")
    assert "95% interval" in run_nevus(tmp_path, evaluate)


@pytest.mark.slow
def test_the_commands_of_the_how_to_predict_run_as_they_stand(tmp_path: Path) -> None:
    """In a shell, in the order of the page, with phantoms for photographs."""
    phantoms = Manifest.read(write_phantoms(tmp_path / "phantoms", num_lesions=60, size=(48, 64)))
    settings = ["data.size=32", "data.validation_share=0.3", "model.backbone=resnet10t", "training.epochs=1"]
    rows = phantoms.where(phantoms.frame["diagnosis"].isin(["mel", "nv", "bkl"]))
    fit(Recipe(name="tiny").with_settings(settings), rows, tmp_path / "fit")
    (tmp_path / "fit" / "bundle").rename(tmp_path / "bundle")
    (tmp_path / "photos").mkdir()
    for path in rows.paths():
        shutil.copy(path, tmp_path / "photos" / path.name)
    shutil.copy(rows.paths()[0], tmp_path / "lesion.jpg")
    rows.frame[["image_id", "age_years", "sex", "site", "diagnosis"]].to_csv(tmp_path / "cases.csv", index=False)
    (tmp_path / "data").mkdir()
    rows.write(tmp_path / "data" / "manifest.csv")
    (tmp_path / "paths.txt").write_text("lesion.jpg\n")
    text = (ROOT / "docs" / "how-to" / "predict.md").read_text(encoding="utf-8")
    lines = "".join(re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)).splitlines()
    assert len(lines) == len(commands(ROOT / "docs" / "how-to" / "predict.md")) == 9
    for line in lines:
        command = line.replace("nevus", f"{shlex.quote(sys.executable)} -m nevus", 1)
        done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, f"{line}: {done.stderr}"
    for name in ("answers.csv", "submission.csv"):
        assert len((tmp_path / name).read_text().splitlines()) == len(rows) + 1


@pytest.mark.slow
def test_the_launchers_of_the_how_to_train_what_one_process_trains(tmp_path: Path) -> None:
    """The page's own commands, on phantoms and with settings that end in seconds. The tolerance is the page's, for 4 steps."""
    phantoms = Manifest.read(write_phantoms(tmp_path / "phantoms", num_lesions=60, size=(48, 64)))
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    quick = (
        "data.task=malignant data.size=32 data.num_folds=2 data.views=1 model.backbone=resnet10t model.pretrained=none "
        "model.attention.kind=none training.epochs=1 training.batch_size=8 training.monitor=last"
    )
    settings = ["--manifest", str(phantoms.path), "--only", "0", *(w for part in quick.split() for w in ("--set", part))]
    text = (ROOT / "docs" / "how-to" / "several-processes.md").read_text(encoding="utf-8")
    launched = [shlex.split(line) for line in re.findall(r"```sh\n(.*?)\n```", text)]
    modules = {"torchrun": ["torch.distributed.run", "--standalone"], "accelerate": ["accelerate.commands.launch"]}
    assert [words[0] for words in launched] == list(modules)
    outs = []
    for words in launched:
        rest = words[2:] if words[0] == "accelerate" else words[1:]
        command = [sys.executable, "-m", *modules[words[0]], *rest, *settings]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("report.html") == 1, "one process prints"
        outs.append(words[words.index("--out") + 1])
    alone = launched[0][launched[0].index("nevus") + 1 :]
    alone[alone.index("--out") + 1] = "runs/alone"
    run_nevus(tmp_path, [*alone, *settings])
    weights = [load_file(tmp_path / run / "fold-0" / "bundle" / "weights.safetensors") for run in ("runs/alone", *outs)]
    for name, tensor in weights[0].items():
        assert torch.allclose(weights[1][name], tensor, atol=1e-4), name
        assert torch.equal(weights[1][name], weights[2][name]), name
