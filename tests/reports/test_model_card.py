"""The model card: a header that the Hugging Face Hub reads, every section, the run's own figures."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from fabricated_run import TWO, fabricate

from nevus.reports.model_card import model_card
from nevus.reports.page import write_report
from nevus.reports.run import Run

# Mitchell et al. 2019, figure 1.
SECTIONS = (
    "Model details",
    "Intended use",
    "Factors",
    "Metrics",
    "Evaluation data",
    "Training data",
    "Quantitative analyses",
    "Ethical considerations",
    "Caveats and recommendations",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fabricate(tmp_path_factory.mktemp("runs") / "two", classes=TWO, name="two", num_images=80, num_folds=2)


@pytest.fixture(scope="module")
def card(folder: Path) -> str:
    return model_card(Run.read(folder))


def test_every_section_is_there_in_order_and_none_is_empty(card: str) -> None:
    titles = [line.removeprefix("## ") for line in card.splitlines() if line.startswith("## ")]
    assert titles == list(SECTIONS)
    assert all(len(part.split("\n", 1)[1].strip()) > 40 for part in card.split("\n## ")[1:])


def test_the_header_is_what_the_hub_reads(card: str, folder: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    read = hub.ModelCard(card).data
    document = json.loads((folder / "evaluation.json").read_text())
    assert read.license == "cc-by-nc-4.0"
    assert read.datasets == ["ham10000"]
    assert {"dermoscopy", "not-for-diagnosis"} <= set(read.tags)
    values = {result.metric_name.split(",")[0]: result.metric_value for result in read.eval_results}
    assert values["AUC"] == round(document["metrics"]["auc"]["value"], 4)
    assert len(values) == sum(figure["value"] is not None for figure in document["metrics"].values())
    assert all("strict" in result.dataset_split for result in read.eval_results)


def test_figures_counts_licence_and_threshold_are_the_runs(card: str, folder: Path) -> None:
    document = json.loads((folder / "evaluation.json").read_text())
    for name in ("auc", "sensitivity", "specificity"):
        figure = document["metrics"][name]
        assert f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]" in card
    benign, malignant = document["confusion"]["matrix"]
    assert f"Of {sum(malignant)} images that show a malignant lesion, {malignant[0]} were called something else." in card
    assert f"benign lesion {sum(benign)}" in card
    assert "CC BY-NC 4.0 (80 images)" in card
    assert "Tschandl, Rosendahl & Kittler 2018".replace("&", "&amp;") in card
    assert "chosen on validation images" in card


@pytest.mark.slow
def test_an_unknown_licence_is_other_and_a_paper_protocol_is_called_optimistic(tmp_path: Path) -> None:
    run = Run.read(fabricate(tmp_path / "run", classes=TWO, num_images=60, num_folds=2, protocol="paper-zoome"))
    run.images.loc[:9, "license"] = "CC-BY-ND"
    card = model_card(run)
    assert '\nlicense: "other"\nlicense_name: "as-the-training-images"\n' in card
    assert "The protocol is optimistic: the figures do not hold for new patients." in card


@pytest.mark.slow
def test_data_cannot_break_the_header(tmp_path: Path) -> None:
    run = Run.read(fabricate(tmp_path / "run", classes=TWO, num_images=60, num_folds=2))
    run.images.loc[:, "dataset"] = 'x"\n---\n# no heading <b>'
    header = model_card(run).split("\n---\n")[0].split("\n")
    values: dict[str, Any] = {name: json.loads(value) for name, value in (line.split(": ", 1) for line in header[1:])}
    assert values["datasets"] == ['x"\n---\n# no heading <b>']
    assert "\n# no heading" not in model_card(run)


@pytest.mark.slow
def test_it_is_written_beside_the_report_of_one_run_and_not_of_several(folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(folder, run)
    write_report([run], run)
    assert (run / "model-card.md").read_text(encoding="utf-8") == model_card(Run.read(run))
    write_report([run, run], tmp_path / "several.html")
    assert {path.name for path in tmp_path.iterdir()} == {"run", "several.html", "several.md"}
