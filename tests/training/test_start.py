"""A network that starts from a bundle: its backbone and nothing else, and never from one that has seen the run's data set."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save_file

from exportable import exportable
from nevus.bundle import Bundle
from nevus.bundle.description import description
from nevus.bundle.pack import pack
from nevus.data.manifest import Manifest
from nevus.errors import DataError, NotAvailableError
from nevus.files import write
from nevus.recipe import Recipe
from nevus.training.run import begin_run, create_network
from nevus.training.start import load_start, refuse_trained_on, start_record, starting_bundle

SETTINGS = ["data.task=malignant", "data.size=32", "model.backbone=resnet10t", "training.precision=float32"]


@pytest.fixture(scope="module")
def bundle(phantoms: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return exportable(tmp_path_factory.mktemp("start") / "bundle", phantoms)


def started(bundle: Bundle, *settings: str) -> Recipe:
    return Recipe(name="next").with_settings([*SETTINGS, f"model.pretrained={bundle.path}", *settings])


def test_the_backbone_is_the_bundles_and_the_head_is_new(bundle: Bundle) -> None:
    theirs = load(bundle.read("weights.safetensors"))
    recipe = started(bundle, "model.attention.kind=zoom_se", "model.fusion.kind=multiply")
    own = create_network(recipe, ("benign", "malignant")).state_dict()
    drawn = create_network(recipe.with_settings(["model.pretrained=none"]), ("benign", "malignant")).state_dict()
    for name, tensor in own.items():
        expected = theirs if name.startswith("backbone.layers.") else drawn
        assert torch.equal(tensor, expected[name]), name


def test_attention_that_the_network_lacks_is_not_quietly_dropped(bundle: Bundle) -> None:
    with pytest.raises(NotAvailableError, match="not a layer of it"):
        create_network(started(bundle, "model.attention.kind=none"), ("benign", "malignant"))


@pytest.mark.parametrize(("trained", "asked"), [("ham10000", "isic2019"), ("isic2018", "ham10000"), ("isic2020", "isic-archive")])
def test_data_sets_that_share_images_under_other_names_are_one(
    bundle: Bundle, phantoms: Manifest, trained: str, asked: str
) -> None:
    seen = replace(bundle, document={**bundle.document, "training_data": {"datasets": {trained: 3}}})
    rows = replace(phantoms, frame=phantoms.frame.assign(dataset=asked))
    with pytest.raises(DataError, match=f"images of {asked} or of a data set that shares images with it"):
        refuse_trained_on(seen, rows)
    refuse_trained_on(seen, phantoms)


def test_data_sets_that_share_images_with_a_third_one_are_not_one(phantoms: Manifest, bundle: Bundle) -> None:
    """The archive holds HAM10000 and ISIC-2020, which share no more than an audit finds."""
    seen = replace(bundle, document={**bundle.document, "training_data": {"datasets": {"ham10000": 3}}})
    rows = replace(phantoms, frame=phantoms.frame.assign(dataset="isic2020"))
    refuse_trained_on(seen, rows)


def test_attention_that_the_bundle_lacks_stays_as_it_was_made(phantoms: Manifest, tmp_path: Path) -> None:
    plain = Recipe(name="plain").with_settings([*SETTINGS, "model.attention.kind=none"])
    weights = create_network(plain, ("benign", "malignant")).state_dict()
    zoomed = create_network(plain.with_settings(["model.attention.kind=zoom_se"]), ("benign", "malignant"))
    before = {name: tensor.clone() for name, tensor in zoomed.state_dict().items()}
    bundle = Bundle.write(
        tmp_path / "plain",
        {"name": "plain", "recipe": plain.model_dump(mode="json"), "training_data": {"datasets": {}}},
        {"weights.safetensors": lambda path: save(weights, path)},
    )
    load_start(zoomed, bundle)
    after = zoomed.state_dict()
    extra = [name for name in after if name not in weights]
    assert extra
    assert all(torch.equal(after[name], before[name]) for name in extra)
    assert all(torch.equal(after[name], weights[name]) for name in weights if name.startswith("backbone."))


def save(weights: dict[str, torch.Tensor], path: Path) -> None:
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, path)


def test_a_network_that_does_not_fit_and_a_bundle_without_weights_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(NotAvailableError, match="its resnet10t does not fit"):
        create_network(started(bundle, "model.backbone=resnet18"), ("benign", "malignant"))
    light = Bundle.write(tmp_path / "light", {"name": "light"}, {"README.md": lambda path: write(path, "none\n")})
    with pytest.raises(NotAvailableError, match="to start from"):
        create_network(started(light), ("benign", "malignant"))


def test_other_values_are_no_bundles_and_a_packed_one_is(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "package").mkdir()
    for value in ("none", "package", "hub", "weights.safetensors", "nowhere"):
        assert starting_bundle(Recipe(name="x").with_settings([f"model.pretrained={value}"]).model) is None
    packed = pack(bundle, tmp_path / "one.nevus")
    assert starting_bundle(started(packed).model) is not None


def test_a_bundle_that_has_seen_the_data_set_is_refused_also_at_second_hand(
    bundle: Bundle, phantoms: Manifest, tmp_path: Path
) -> None:
    dataset = str(phantoms.frame["dataset"].iloc[0])
    (own,) = {*phantoms.frame["dataset"]}
    documents: list[dict[str, Any]] = [
        {"training_data": {"datasets": {own: 3}}},
        {"training_data": {"datasets": {"elsewhere": 3}}, "started_from": {"datasets": [own]}},
    ]
    for number, said in enumerate(documents):
        content = bundle.read("weights.safetensors")
        document = {key: value for key, value in bundle.document.items() if key not in ("format", "files", "checksum")}
        contents = {"weights.safetensors": partial(write, content=content)}
        copy = Bundle.write(tmp_path / str(number), {**document, **said}, contents)
        with pytest.raises(DataError, match=f"was trained on images of {dataset} or of .* has rows of it too"):
            begin_run(started(copy, "model.attention.kind=zoom_se"), phantoms, tmp_path / "run")
        assert own in start_record(copy)["datasets"]
        assert own in description({**copy.document, "started_from": start_record(copy)})["Started from"]
    assert not (tmp_path / "run").exists()
