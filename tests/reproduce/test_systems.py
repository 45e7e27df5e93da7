"""Each published row is a system, and each system a recipe with the paper's settings."""

from pathlib import Path

import pytest

from nevus.errors import DataError, RecipeError
from nevus.recipe import Recipe
from nevus.reproduce.published import papers, published
from nevus.reproduce.systems import System, budget, protocol_of, recipe_of, systems

ALL = [system for paper in papers() for system in systems(paper).values()]


def recipe(paper: str, name: str, budget_name: str = "full") -> Recipe:
    system = systems(paper)[name]
    return recipe_of(system, system.protocol, budget(budget_name), Path("manifest.csv"))


@pytest.mark.parametrize("paper", papers())
def test_every_row_is_a_system_and_every_system_a_row(paper: str) -> None:
    named = {system for table in published(paper) for system in table.systems.values() if not system.startswith("backbone:")}
    assert named == set(systems(paper))


@pytest.mark.parametrize("name", ["full", "cpu", "smoke"])
@pytest.mark.parametrize("system", ALL, ids=lambda system: f"{system.paper}-{system.name}")
def test_every_system_is_a_recipe(system: System, name: str) -> None:
    found = recipe_of(system, "strict", budget(name), Path("manifest.csv"))
    assert (found.name, found.data.protocol) == (system.name, "strict")
    assert found.data.size >= system.smallest


def test_zoomes_settings_are_the_papers() -> None:
    """Section IV.B, C and equation 5."""
    found = recipe("zoome", "zoome")
    assert (found.data.task, found.data.protocol, found.data.num_folds, found.data.size) == ("malignant", "paper-zoome", 10, 224)
    augment = found.data.augment
    assert (augment.rotation_degrees, augment.min_crop, augment.horizontal_flip, augment.vertical_flip) == (30, 0.8, 0.5, 0)
    model = found.model
    assert (model.backbone, model.attention.kind, model.fusion.kind) == ("resnext50_32x4d", "zoom_se", "multiply")
    training = found.training
    assert (training.batch_size, training.optimiser.kind, training.optimiser.learning_rate) == (64, "adam", 1e-4)
    assert (training.loss.kind, training.loss.alpha, training.loss.gamma) == ("focal", 0.25, 2)
    kinds = {
        name: (recipe("zoome", name).model.attention.kind, recipe("zoome", name).model.fusion.kind) for name in systems("zoome")
    }
    assert kinds["zoome-no-zoom-se"] == ("none", "multiply")
    assert kinds["zoome-no-metadata"] == ("zoom_se", "none")
    assert kinds["resnet50-zoom-se"] == ("zoom_se", "none")
    assert kinds["alexnet-metadata"] == ("none", "multiply")
    assert kinds["resnet50"] == kinds["alexnet"] == kinds["kaur2020"] == ("none", "none")


def test_the_2022_papers_settings_are_the_papers() -> None:
    """Sections 4 to 6, and the notebooks where the text is silent."""
    found = recipe("soft-attention", "densenet201")
    assert (found.data.task, found.data.protocol, found.data.size) == ("diagnosis", "paper-2022", 224)
    assert (found.model.tap, found.model.attention.kind, found.model.attention.num_heads) == ("published", "soft", 16)
    assert (found.model.fusion.kind, found.model.fusion.hidden, found.model.pooling) == ("concat", 4096, "flatten")
    training, optimiser, schedule = found.training, found.training.optimiser, found.training.schedule
    assert (optimiser.kind, optimiser.learning_rate, optimiser.epsilon, optimiser.keras_epsilon) == ("adam", 1e-3, 0.1, True)
    assert (schedule.kind, schedule.factor, schedule.patience, schedule.minimum) == ("plateau", 0.2, 5, 1e-7)
    assert (training.batch_size, training.epochs, training.early_stopping) == (10, 500, 35)
    assert (training.loss.kind, training.monitor) == ("class_weighted", "accuracy")
    sizes = {recipe("soft-attention", name).data.size for name in ("inception-resnet-v2", "inception-resnet-v2-augmented")}
    assert (sizes, recipe("soft-attention", "nasnetlarge").data.size) == ({299}, 331)


def test_augmented_rows_have_dattas_regime_and_no_metadata() -> None:
    for name, system in systems("soft-attention").items():
        found = recipe("soft-attention", name)
        if name.endswith("-augmented"):
            assert (system.protocol, found.model.fusion.kind, found.data.augment.rotation_degrees) == ("paper-datta", "none", 180)
            assert (found.training.optimiser.learning_rate, found.training.batch_size, found.training.epochs) == (0.01, 16, 150)
        else:
            assert (system.protocol, found.data.augment.rotation_degrees) == ("paper-2022", 0)


def test_table_9_cuts_where_the_paper_does() -> None:
    table = next(table for table in published("soft-attention") if table.name == "Table 9")
    cuts = {}
    for row, name in table.systems.items():
        found = recipe("soft-attention", name)
        cuts[row] = (found.model.tap, found.model.attention.kind, found.model.fusion.kind, found.model.hidden)
        assert found.model.backbone == "tf_mobilenetv3_large_100"
    names = [row.removeprefix("MobileNetV3Large").removeprefix("-Layer").split(" + ", 1)[0] for row in table.rows]
    taps = dict(zip(names, cuts.values(), strict=True))
    assert {cut: tap for cut, (tap, *_) in taps.items()} == {
        "[:270]": "dropout",
        "[:266]": "pooled",
        "[:260]": "conv_1.gate",
        "[:251]": "block5.2.se",
        "[:246]": "block5.2.dw",
        "[:240]": "block5.2.expand",
        "[:230]": "block5.1.se",
        "": "last",
    }
    assert {row for row, cut in cuts.items() if cut[1] == "none"} == {"MobileNetV3Large"}
    assert {row for row, cut in cuts.items() if cut[2] == "none"} == {row for row in cuts if "Metadata" not in row}
    assert {row: cut[3] for row, cut in cuts.items() if cut[3]} == {
        "MobileNetV3Large-Layer[:246] + Soft-Attention + Dense(512) + Metadata": 512,
        "MobileNetV3Large": 1280,
    }
    one_pixel = {row for row, name in table.systems.items() if systems("soft-attention")[name].one_pixel}
    assert one_pixel == {row for row in cuts if any(cut in row for cut in ("[:270]", "[:266]", "[:251]", "[:230]"))}


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(DataError, match="--budget 'half': expected one of full, cpu, smoke"):
        budget("half")
    with pytest.raises(DataError, match="--protocol 'lax': expected one of paper, strict, paper-zoome"):
        protocol_of(systems("zoome")["zoome"], "lax")
    assert protocol_of(systems("soft-attention")["vgg16-augmented"], "paper") == "paper-datta"


@pytest.mark.slow
@pytest.mark.parametrize("system", ALL, ids=lambda system: f"{system.paper}-{system.name}")
def test_every_network_is_built_or_refused_for_its_one_pixel(system: System) -> None:
    import torch

    from nevus.training.run import create_network

    found = recipe_of(system, system.protocol, budget("full"), Path("manifest.csv"), ("model.pretrained=none",))
    classes = ["a", "b"] if found.data.task == "malignant" else list("abcdefg")
    if system.one_pixel:
        with pytest.raises(RecipeError, match=r"1x1|1×1"):
            create_network(found, classes)
        return
    with torch.device("meta"):
        assert create_network(found, classes).num_parameters > 5e5
