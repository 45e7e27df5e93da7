"""A teacher teaches the student alone, and is refused where it may have seen what is tested."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load

from nevus.bundle import Bundle
from nevus.data.manifest import Manifest
from nevus.data.splits import Folds
from nevus.errors import BundleError, RecipeError
from nevus.evaluation.cross_validate import cross_validate
from nevus.files import sha256
from nevus.networks.classifier import LesionClassifier
from nevus.predictor import Predictor
from nevus.recipe import DistillationRecipe, ModelRecipe, Recipe
from nevus.training.fit import fit
from nevus.training.loader import Batch
from nevus.training.log import LiveProgress
from nevus.training.teacher import Distiller, check_teacher

DOCUMENT: dict[str, Any] = {
    "task": "malignant",
    "classes": ("benign", "malignant"),
    "metadata": {"fields": ["age"]},
    "protocol": "strict",
    "folds_sha256": "a" * 64,
    "fold": 1,
    "preprocessing": {"size": 32},
    "training_data": {"manifest_sha256": "b" * 64, "images_sha256": "c" * 64},
}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("fold", 0, "fold: 0, the student's is 1"),
        ("fold", None, "fold: none"),
        ("protocol", "paper-2022", "protocol: paper-2022"),
        ("folds_sha256", "d" * 64, "folds.csv: dddddddddddd…"),
        ("training_data", {"manifest_sha256": "d" * 64, "images_sha256": "c" * 64}, "manifest: dddd"),
        ("training_data", {"manifest_sha256": "b" * 64, "images_sha256": "d" * 64}, "training images: dddd"),
        ("training_data", {"manifest_sha256": "b" * 64}, "training images: none"),
        ("task", "diagnosis", "task: diagnosis"),
        ("classes", ["malignant", "benign"], "classes: "),
        ("metadata", {"fields": []}, "metadata: "),
        ("preprocessing", {"size": 64}, "size: 64"),
    ],
)
def test_a_teacher_of_other_images_or_another_question_is_refused(name: str, value: object, said: str) -> None:
    teacher = copy.deepcopy({**DOCUMENT, "classes": ["benign", "malignant"]})
    check_teacher(Bundle(Path("run/fold-1/bundle"), teacher), DOCUMENT)
    with pytest.raises(BundleError, match=f"(?s)cannot teach this student.*{said}"):
        check_teacher(Bundle(Path("run/fold-1/bundle"), {**teacher, name: value}), DOCUMENT)


def test_a_teacher_that_does_not_see_what_the_student_sees_may_be_of_another_size() -> None:
    teacher = {**copy.deepcopy(DOCUMENT), "classes": ["benign", "malignant"], "preprocessing": {"size": 64}}
    check_teacher(Bundle(Path("run/fold-1/bundle"), teacher), DOCUMENT, watches=False)
    with pytest.raises(BundleError, match="cannot teach this student"):
        check_teacher(Bundle(Path("run/fold-1/bundle"), {**teacher, "fold": 0}), DOCUMENT, watches=False)


def pair(answers: torch.Tensor | None = None, **settings: float) -> tuple[LesionClassifier, LesionClassifier, Distiller, Batch]:
    torch.manual_seed(0)
    student = LesionClassifier(ModelRecipe(backbone="resnet10t"), 2, 3, 32)
    teacher = LesionClassifier(ModelRecipe(backbone="resnet10t", attention={"kind": "soft"}), 2, 3, 64)  # type: ignore[arg-type]
    fields = {"teacher_run": "run", "dimensions": 8, "num_positives": 2, "num_negatives": 4, "begin": 0.5, **settings}
    recipe = DistillationRecipe.model_validate(fields)
    rows = np.array([9, 4, 7, 2])
    distiller = Distiller(recipe, teacher, student, rows, np.array([0, 1, 0, 1]), seed=0, answers=answers)
    images = torch.randint(0, 255, (3, 64, 64, 3), dtype=torch.uint8)
    present, targets = torch.ones(3, dtype=torch.bool), torch.tensor([1, 0, 0])
    return student, teacher, distiller, Batch(images, torch.zeros(3, 3), present, targets, torch.tensor([2, 9, 7]))


def test_a_step_teaches_the_student_and_leaves_the_teacher_as_it_was() -> None:
    student, teacher, distiller, batch = pair()
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    weights = {name: parameter.detach().clone() for name, parameter in student.named_parameters()}
    student.train()
    optimiser = torch.optim.SGD([*student.parameters(), *distiller.parameters()], lr=0.1)
    logits = student(torch.randn(3, 3, 64, 64))
    distiller(batch, logits, done=1.0).backward()
    optimiser.step()
    # Fresh residual branches end in a scale of 0, so a first step cannot reach what lies within them.
    changed = [name for name, parameter in student.named_parameters() if not torch.equal(weights[name], parameter)]
    assert {"head.weight", next(iter(weights))} < set(changed)
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in teacher.state_dict().items())
    assert distiller.relations
    assert distiller.relations.seen.tolist() == [True, False, True, True], "rows 9, 7 and 2, by their places"
    assert not any("teacher." in name and "relations" not in name for name in distiller.state_dict())


def test_validation_and_a_student_let_go_leave_nothing_behind() -> None:
    student, _, distiller, batch = pair()
    student.eval()(torch.zeros(1, 3, 64, 64))
    student.train()
    distiller(batch, student(torch.randn(3, 3, 64, 64)), done=0.0)
    distiller.detach()
    student(torch.zeros(2, 3, 64, 64))
    assert not distiller._features


def test_answers_given_once_are_taught_row_by_row_and_nothing_else() -> None:
    answers = torch.tensor([[0.0, 0.0], [5.0, 5.0], [2.0, 0.0], [0.0, 3.0]])  # of rows 9, 4, 7, 2
    student, teacher, distiller, batch = pair(answers, contrast=0, relation=0, prediction=0.5, views=4)
    student.train()
    student(torch.randn(3, 3, 64, 64))
    teacher.forward = None  # type: ignore[assignment,method-assign]  # It is not asked again.
    assert distiller(batch, torch.zeros(3, 2), done=0.4) == 0, "not yet"
    student(torch.randn(3, 3, 64, 64))
    loss = distiller(batch, torch.zeros(3, 2), done=0.5)
    # KL((p, 1 - p) || (1/2, 1/2)) = log 2 - entropy; the batch's rows are 2, 9 and 7.
    shares = 1 / (1 + np.exp(-np.array([3.0, 0.0, 2.0])))
    expected = np.log(2) + (shares * np.log(shares) + (1 - shares) * np.log(1 - shares))
    assert loss.item() == pytest.approx(0.5 * expected.mean(), rel=1e-5)
    assert not list(distiller.parameters())


@pytest.fixture
def taught(tiny: Recipe, tmp_path: Path) -> Recipe:
    """A student with a teacher, named by its recipe's path."""
    path = tmp_path / "teacher.toml"
    path.write_text(
        'name = "big"\n[model]\nbackbone = "resnet10t"\nfusion = { kind = "concat" }\n'
        "[training]\nepochs = 1\nbatch_size = 8\ncheckpoint_steps = 2\n"
    )
    settings = [f"training.distillation.teacher={path}", "training.distillation.num_negatives=64", "training.batch_size=8"]
    return tiny.with_settings(settings)


@pytest.mark.slow
def test_killed_in_teacher_and_student_a_fold_ends_with_the_same_weights(
    phantoms: Manifest, taught: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """As nothing catches a kill, nothing may catch this."""

    cross_validate(taught, phantoms, tmp_path / "whole", only=[0])
    for title, step in (("teacher", 3), ("fold 1/2", 1), ("fold 1/2", 5)):

        def kill(self: LiveProgress, event: dict[str, Any], title: str = title, step: int = step) -> None:
            if event["kind"] == "step" and event["step"] == step and self._title.endswith(title):
                raise Killed

        monkeypatch.setattr(LiveProgress, "__call__", kill)
        with pytest.raises(Killed):
            cross_validate(taught, phantoms, tmp_path / "killed", only=[0])
    monkeypatch.undo()
    cross_validate(taught, phantoms, tmp_path / "killed", only=[0])
    for name in ("teacher/bundle/weights.safetensors", "bundle/weights.safetensors", "predictions.csv"):
        hashes = [sha256(tmp_path / run / "fold-0" / name) for run in ("whole", "killed")]
        assert hashes[0] == hashes[1], name
    bundle = Bundle.load(tmp_path / "whole" / "fold-0" / "bundle")
    assert bundle.document["teacher_sha256"] == sha256(
        tmp_path / "whole" / "fold-0" / "teacher" / "bundle" / "weights.safetensors"
    )
    assert not list((tmp_path / "whole" / "fold-0").rglob("last.safetensors"))


@pytest.mark.slow
def test_a_run_teaches_its_own_folds_alone_and_what_it_teaches_matters(phantoms: Manifest, tiny: Recipe, tmp_path: Path) -> None:
    tiny = tiny.with_settings(["training.epochs=1", "training.monitor=last"])
    cross_validate(tiny, phantoms, tmp_path / "teacher")
    taught = tiny.with_settings([f"training.distillation.teacher_run={tmp_path / 'teacher'}"])
    cross_validate(taught, phantoms, tmp_path / "student", only=[1], folds=tmp_path / "teacher" / "folds.csv")
    hashes = [sha256(tmp_path / run / "fold-1" / "bundle" / "weights.safetensors") for run in ("teacher", "student")]
    assert hashes[0] != hashes[1], "one recipe, one seed: the teacher is the difference"

    (tmp_path / "teacher" / "fold-1").rename(tmp_path / "aside")
    (tmp_path / "teacher" / "fold-0").rename(tmp_path / "teacher" / "fold-1")
    with pytest.raises(BundleError, match=r"(?s)cannot teach this student.*fold: 0, the student's is 1.*training images"):
        cross_validate(taught, phantoms, tmp_path / "leak", only=[1], folds=tmp_path / "teacher" / "folds.csv")
    other = taught.with_settings(["training.seed=5"])
    with pytest.raises(BundleError, match=r"(?s)cannot teach.*folds\.csv: "):
        cross_validate(other, phantoms, tmp_path / "resplit", only=[1])
    with pytest.raises(BundleError, match="no such file or folder"):
        fit(taught, phantoms, tmp_path / "fit")


def test_a_teacher_that_cannot_be_built_is_said_before_anything_is_trained(
    phantoms: Manifest, taught: Recipe, tmp_path: Path
) -> None:
    impossible = taught.with_settings(["training.distillation.teacher.model.backbone=resnet10x"])
    with pytest.raises(RecipeError, match="resnet10x"):
        fit(impossible, phantoms, tmp_path / "run")
    assert not (tmp_path / "run" / "teacher").exists()


FIRST = ["training.distillation.contrast=0", "training.distillation.relation=0", "training.distillation.start=true"]


def two_stages(tiny: Recipe, *settings: str) -> Recipe:
    """`tiny`, begun where a first stage of the same network ends."""
    model = tiny.model.model_dump(mode="json")
    stage = {"size": 0, "model": model, "training": {"epochs": 1, "batch_size": 8, "cutmix": 1.0, "monitor": "last"}}
    document = tiny.model_dump(mode="json")
    document["training"]["distillation"]["teacher"] = stage
    return Recipe.model_validate(document).with_settings([*FIRST, *settings])


@pytest.mark.slow
def test_a_second_stage_goes_on_from_the_first_ones_weights(phantoms: Manifest, tiny: Recipe, tmp_path: Path) -> None:
    settings = ["training.distillation.prediction=0", "training.optimiser.learning_rate=1e-12", "training.epochs=1"]
    recipe = two_stages(
        tiny, *settings, f"data.size={2 * tiny.data.size}", f"training.distillation.teacher.size={tiny.data.size}"
    )
    cross_validate(recipe, phantoms, tmp_path, only=[0])
    first, second = (Bundle.load(tmp_path / "fold-0" / name) for name in ("teacher/bundle", "bundle"))
    assert [bundle.document["preprocessing"]["size"] for bundle in (first, second)] == [tiny.data.size, 2 * tiny.data.size]
    assert second.document["teacher_sha256"] == first.document["files"]["weights.safetensors"]
    one, other = (load(bundle.read("weights.safetensors")) for bundle in (first, second))
    assert all(torch.allclose(one[name], other[name], atol=1e-6) for name in one if "running" not in name and "num_" not in name)


@pytest.mark.slow
def test_what_is_taught_once_is_what_the_teacher_answers_to_whole_photos(
    phantoms: Manifest, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[torch.Tensor] = []
    original = Distiller.__init__

    def keep(self: Distiller, *values: Any) -> None:
        given.append(values[-1])
        original(self, *values)

    monkeypatch.setattr(Distiller, "__init__", keep)
    recipe = two_stages(tiny, "training.distillation.views=2", "data.views=2", "training.epochs=1")
    cross_validate(recipe, phantoms, tmp_path, only=[0])
    bundle = Bundle.load(tmp_path / "fold-0" / "teacher" / "bundle")
    folds = Folds.read(tmp_path / "folds.csv", phantoms)
    frame = phantoms.frame.iloc[folds.parts(phantoms, 0).train]
    metadata = {name: frame[name].to_numpy() for name in ("age_years", "sex", "site")}
    outputs = Predictor(bundle).predict_outputs([phantoms.root / path for path in frame["path"]], metadata)
    # Training reads the pack, the bundle the files: their pixels differ by a rounding.
    assert np.corrcoef(given[0].numpy().ravel(), outputs.logits.ravel())[0, 1] > 0.99


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["training.distillation.teacher.size=64"], "leave teacher.size out, or set views"),
        (["training.cutmix=1.0"], "choose one of the two"),
        (["training.distillation.teacher.training.growth.first_size=512"], "the teacher's training.growth.first_size"),
        (["training.distillation.views=9"], "less than or equal to 8"),
    ],
)
def test_a_stage_that_cannot_be_is_said_in_the_recipe(tiny: Recipe, settings: list[str], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        two_stages(tiny, *settings)


def test_a_start_from_another_network_is_said_before_anything_is_trained(
    phantoms: Manifest, tiny: Recipe, tmp_path: Path
) -> None:
    recipe = two_stages(tiny, "training.distillation.teacher.model.attention.kind=none")
    with pytest.raises(RecipeError, match=r"(?s)cannot start as its teacher ends.*not there.*same model section"):
        fit(recipe, phantoms, tmp_path / "run")
    assert not (tmp_path / "run" / "teacher").exists()
