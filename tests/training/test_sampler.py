"""What an epoch shows, against the published counts and a literal walk through the published generator."""

import math
from typing import Any, get_args

import numpy as np
import pytest
import torch

from nevus.data.augment import apply, draw, plan
from nevus.data.manifest import Manifest
from nevus.data.metadata import MetadataEncoder
from nevus.data.pack import pack_images
from nevus.recipe import Recipe, TrainingRecipe
from nevus.training.loader import Batch, Examples, training_batches
from nevus.training.run import COLUMNS
from nevus.training.sampler import SAMPLERS, epoch_counts, epoch_rows

HAM10000 = np.array([327, 514, 1099, 115, 1113, 6705, 142])
# The training images of Datta et al.'s split, whose augmented folders hold 51,699 files (public re-runs of that code print both).
DATTA = np.array([304, 488, 1033, 109, 1079, 6042, 132])


def test_the_recipe_offers_exactly_the_samplers_there_are() -> None:
    assert set(get_args(TrainingRecipe.model_fields["sampler"].annotation)) == set(SAMPLERS)


def test_the_papers_epoch_is_18015_of_10015_images_and_leaves_the_class_mix() -> None:
    counts = epoch_counts("augmented", HAM10000)
    assert counts.sum() == 18_015
    assert (abs(counts - HAM10000 * 18_015 / 10_015) < 1).all()
    fold = epoch_counts("augmented", HAM10000 // 5)
    assert fold.sum() == round((HAM10000 // 5).sum() * 18_015 / 10_015)


def walked(num: int) -> int:
    """A Keras directory generator asked for batches of 50: it ends each pass over its files with what is left of them."""
    total, left = num, num
    for _ in range(math.ceil((8000 - num) / 50)):
        batch = min(50, left)
        total, left = total + batch, left - batch or num
    return total


def test_the_published_code_fills_its_folders_so() -> None:
    counts = epoch_counts("augmented_code", DATTA)
    assert counts.sum() == 51_699
    sizes = np.array([1, 49, 50, 51, 99, 100, 3999, 7951, 8000, 9000, *HAM10000, *DATTA])
    assert epoch_counts("augmented_code", sizes).tolist() == [walked(num) for num in sizes.tolist()]
    assert epoch_counts("augmented_code", np.array([0, 9000])).tolist() == [0, 9000]


def test_balanced_shows_as_many_of_each_class_that_there_is() -> None:
    assert epoch_counts("balanced", np.array([10, 0, 3, 1])).tolist() == [5, 0, 5, 4]
    assert epoch_counts("once", HAM10000).tolist() == HAM10000.tolist()


@pytest.mark.parametrize("sampler", ["augmented", "augmented_code", "balanced"])
def test_images_of_a_class_take_turns_and_each_showing_has_random_numbers_of_its_own(sampler: str) -> None:
    targets = np.repeat(np.arange(4), [30, 1, 12, 300])
    rows = np.random.default_rng(1).permutation(343)[:200]
    shown, numbers = epoch_rows(sampler, rows, targets, seed=0, epoch=3)
    assert set(shown) <= set(rows)
    counts = np.bincount(targets[rows], minlength=4)
    assert np.bincount(targets[shown], minlength=4).tolist() == epoch_counts(sampler, counts).tolist()
    for index in range(4):
        times = np.bincount(shown, minlength=343)[rows[targets[rows] == index]]
        assert not len(times) or np.ptp(times) <= 1
    assert len(set(numbers)) == len(numbers)
    first = numbers < 343
    assert (numbers[first] == shown[first]).all()
    assert set(shown[first]) == set(shown)
    again = epoch_rows(sampler, rows, targets, seed=0, epoch=3)
    assert (shown == again[0]).all()
    assert (numbers == again[1]).all()


def test_another_epoch_repeats_other_images() -> None:
    targets = np.zeros(100, np.int64)
    first, second = (epoch_rows("augmented", np.arange(100), targets, 0, epoch)[0] for epoch in (1, 2))
    assert len(first) == len(second) == 180
    assert first.tolist() != second.tolist()


@pytest.fixture(scope="module")
def examples(phantoms: Manifest) -> Examples:
    rows, classes, targets = phantoms.for_task("malignant")
    columns = {name: rows.frame[name].to_numpy() for name in COLUMNS}
    encoder = MetadataEncoder.fit(columns, ("age", "sex", "site"))
    pack = pack_images(rows.paths(), 40)
    return Examples(pack, targets, encoder, *encoder.encode(columns, len(rows)), classes)


def batches(examples: Examples, recipe: Recipe, **options: Any) -> list[Batch]:
    return list(training_batches(examples, np.arange(len(examples.targets)), recipe, **options))


def test_images_grow_with_the_epochs(examples: Examples, tiny: Recipe) -> None:
    recipe = tiny.with_settings(
        ["data.size=64", "training.epochs=5", "training.growth.first_size=32", "training.growth.until=0.6"]
    )
    sides = [[tuple(batch.images.shape[1:]) for batch in batches(examples, recipe, epoch=epoch)] for epoch in range(1, 6)]
    assert [set(each) for each in sides] == [{(side, side, 3)} for side in (32, 32, 48, 64, 64)]


def test_without_a_sampler_batches_are_what_they_were(examples: Examples, tiny: Recipe) -> None:
    """The order and the views written out: a permutation of the rows, and the row's own random numbers."""
    found = batches(examples, tiny, epoch=2)
    order = np.random.default_rng([0, 2]).permutation(np.arange(len(examples.targets)))
    assert len(found) == len(order) // 16
    draws = draw(0, 2, len(order))
    for step, batch in enumerate(found):
        chosen = order[16 * step : 16 * (step + 1)]
        assert batch.targets.tolist() == examples.targets[chosen].tolist()
        steps = plan(tiny.data.augment, draws[chosen], examples.pack.shapes[chosen], 32)
        for index, row in enumerate(chosen):
            view = np.empty((32, 32, 3), np.uint8)
            apply(steps, index, examples.pack.image(row), tiny.data.augment, view)
            assert (batch.images[index].numpy() == view).all()


def test_repetitions_are_other_views_and_a_resumed_epoch_goes_on_with_them(examples: Examples, tiny: Recipe) -> None:
    recipe = tiny.with_settings(["training.sampler=balanced"])
    whole = batches(examples, recipe, epoch=1)
    images = torch.cat([batch.images for batch in whole]).flatten(1).numpy()
    assert len(np.unique(images, axis=0)) == len(images), "no view is shown twice"
    targets = torch.cat([batch.targets for batch in whole])
    assert abs(int((targets == 0).sum()) - int((targets == 1).sum())) <= 16
    assert abs(np.bincount(examples.targets) / len(examples.targets) - 0.5).max() > 0.1, "else this shows nothing"
    shorter = batches(examples, recipe.with_settings(["training.epoch_steps=2"]), epoch=1)
    assert [batch.targets.tolist() for batch in shorter] == [batch.targets.tolist() for batch in whole[:2]]
    resumed = batches(examples, recipe, epoch=1, first_step=2)
    assert len(resumed) == len(whole) - 2
    for one, other in zip(resumed, whole[2:], strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.metadata, other.metadata)
        assert torch.equal(one.targets, other.targets)
