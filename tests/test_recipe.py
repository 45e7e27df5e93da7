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
        ("training.growth.first_size=225", "first_size is larger than data.size, 224"),
        ("decisions=balanced", 'it needs prior = "data"'),
    ],
)
def test_a_setting_that_cannot_be_is_refused(setting: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe(name="mine").with_settings([setting])


def test_a_network_that_is_fixed_to_its_size_does_not_grow() -> None:
    growing = Recipe(name="mine").with_settings(["training.growth.first_size=96"])
    for setting in ("model.pooling=flatten", "model.map_transform=dct"):
        with pytest.raises(RecipeError, match=r"training.growth needs a network for any size"):
            growing.with_settings([setting])


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


def test_a_teacher_named_by_its_recipe_becomes_part_of_the_students(tmp_path: Path) -> None:
    teacher = tmp_path / "teacher.toml"
    teacher.write_text('name = "t"\n[data]\nsize = 96\n[model]\nbackbone = "resnet50"\n[training]\nepochs = 7\n')
    student = tmp_path / "student.toml"
    student.write_text(f'name = "s"\n[training]\ndistillation = {{ teacher = "{teacher}", relation = 2.0 }}\n')
    recipe = Recipe.read(student)
    found = recipe.training.distillation.teacher
    assert found is not None
    assert (found.model.backbone, found.training.epochs, recipe.data.size) == ("resnet50", 7, 224)
    changed = recipe.with_settings(["training.distillation.teacher.training.epochs=9"])
    assert changed.training.distillation.teacher is not None
    assert changed.training.distillation.teacher.training.epochs == 9
    assert Recipe.model_validate_json(changed.model_dump_json()) == changed
    assert not Recipe(name="plain").training.distillation.on


def test_what_is_wrong_with_a_teacher_is_said(tmp_path: Path) -> None:
    recipe = Recipe(name="s")
    with pytest.raises(RecipeError, match=r"nowhere\.toml: cannot be read"):
        recipe.with_settings(["training.distillation.teacher=nowhere.toml"])
    with pytest.raises(RecipeError, match="give teacher or teacher_run, not both"):
        recipe.with_settings(["training.distillation.teacher={}", "training.distillation.teacher_run=runs/x"])
    with pytest.raises(RecipeError, match="a teacher has no teacher of its own"):
        recipe.with_settings(['training.distillation.teacher={training = {distillation = {teacher_run = "runs/x"}}}'])
    with pytest.raises(RecipeError, match=r"teacher.model.bakbone: no such setting; .*teacher.model has backbone"):
        recipe.with_settings(['training.distillation.teacher={model = {bakbone = "resnet50"}}'])
