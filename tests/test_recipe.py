from pathlib import Path

import pytest

from nevus.errors import RecipeError
from nevus.recipe import Recipe


def recipe_file(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_what_the_file_says_and_defaults_for_the_rest(tmp_path: Path) -> None:
    recipe = Recipe.read(recipe_file(tmp_path, 'name = "mine"\n[training]\nepochs = 3\n'))
    assert (recipe.training.epochs, recipe.training.batch_size) == (3, 32)


def test_all_faults_are_named_at_once_with_the_names_that_would_be_right(tmp_path: Path) -> None:
    text = 'name = "mine"\nepoch = 1\n[training]\nepocs = 3\nbatch_size = "many"\n[model.attention]\nkind = "zoom"\n'
    with pytest.raises(RecipeError) as caught:
        Recipe.read(recipe_file(tmp_path, text))
    message = str(caught.value)
    assert "recipe.toml: 4 wrong in the recipe" in message
    assert "training.epocs: no such setting; training has epochs, batch_size" in message
    assert "epoch: no such setting; a recipe has name, data, model, training" in message
    assert "training.batch_size: " in message
    assert "'many'" in message
    assert "model.attention.kind: Input should be 'none', 'zoom_se' or 'soft', not 'zoom'" in message


def test_settings_are_toml_values_or_text(tmp_path: Path) -> None:
    settings = ["training.epochs=7", "model.backbone=resnet50", "data.metadata=['age']", "training.optimiser.epsilon=0.1"]
    recipe = Recipe.read(recipe_file(tmp_path, 'name = "mine"'), settings)
    assert recipe.training.epochs == 7
    assert recipe.model.backbone == "resnet50"
    assert recipe.data.metadata == ("age",)
    assert recipe.training.optimiser.epsilon == 0.1


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("training.epochs", "expected a.b=value"),
        ("training..epochs=1", "expected a.b=value"),
        ("name.first=1", "name is a value, not a section"),
        ("training.epohcs=1", "training.epohcs: no such setting"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(setting: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe(name="mine").with_settings([setting])


def test_a_file_that_is_missing_or_no_toml(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read"):
        Recipe.read(tmp_path / "none.toml")
    with pytest.raises(RecipeError, match="not a TOML file"):
        Recipe.read(recipe_file(tmp_path, "name = "))


def test_a_recipe_survives_its_own_json() -> None:
    recipe = Recipe(name="mine").with_settings(["training.loss.kind=focal", "model.fusion.hidden=8"])
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_every_recipe_of_the_project_reads() -> None:
    folders = [Path(__file__).parents[1] / "recipes", Path(__file__).parents[1] / "src" / "nevus" / "demo"]
    paths = [path for folder in folders for path in sorted(folder.rglob("*.toml"))]
    assert paths
    for path in paths:
        Recipe.read(path)
