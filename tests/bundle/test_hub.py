"""Pushing to and pulling from a hub that stands in on this machine: what comes back is what was pushed, or an error."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_stand_in import TOKEN, HubStandIn
from small_bundle import whole_bundle

from nevus.bundle import FORMAT, Bundle
from nevus.bundle.document import sealed
from nevus.bundle.hub import origin_path, pull, push
from nevus.bundle.pack import pack
from nevus.errors import BundleError, DataError, NevusError, NotAvailableError

hub = pytest.importorskip("huggingface_hub")
constants = pytest.importorskip("huggingface_hub.constants")
NAME = "me/lesions"
# The client's own way of giving a file to its HTTP library.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture(scope="module")
def server() -> Iterator[HubStandIn]:
    running = HubStandIn()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture(autouse=True)
def _client(server: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's own token, cache or chunk store, and no waiting between attempts."""
    server.repositories.clear()
    server.faults.clear()
    server.requests.clear()
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    # As HF_ENDPOINT would have made them when the client was imported.
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("time.sleep", lambda seconds: None)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return whole_bundle(tmp_path / "bundle")


def at_hub(server: HubStandIn, repository: str = NAME, branch: str = "main") -> dict[str, bytes]:
    found = server.repositories[repository]
    return found.commits[found.branches[branch]]


def contents(bundle: Bundle) -> dict[str, bytes]:
    return {name: bundle.read(name) for name in bundle.names}


def test_what_was_pushed_comes_back_byte_for_byte(server: HubStandIn, bundle: Bundle, tmp_path: Path) -> None:
    pushed = push(bundle, NAME)
    assert pushed.commit == server.repositories[NAME].branches["main"]
    back, origin = pull(NAME, tmp_path / "back")
    assert contents(back) == contents(bundle)
    fetched = [request for request in server.requests if "/resolve/" in request]
    assert fetched
    assert all(f"/resolve/{pushed.commit}/" in request for request in fetched), "a branch may move under way; a commit does not"
    assert {path.name for path in back.path.iterdir()} == set(bundle.names), "nothing of the client's own"
    recorded = json.loads(origin_path(tmp_path / "back").read_text())
    assert recorded == origin
    assert {key: recorded[key] for key in ("repository", "revision", "commit", "checksum")} == {
        "repository": NAME,
        "revision": "main",
        "commit": pushed.commit,
        "checksum": bundle.document["checksum"],
    }


def test_a_file_goes_and_comes_as_a_folder_does(server: HubStandIn, bundle: Bundle, tmp_path: Path) -> None:
    packed = pack(bundle, tmp_path / "lesions.nevus")
    push(packed, NAME)
    back, _ = pull(NAME, tmp_path / "back.nevus")
    assert back.path.read_bytes() == packed.path.read_bytes()
    assert origin_path(back.path).is_file()


def test_the_card_has_the_head_that_the_hub_reads(server: HubStandIn, tmp_path: Path) -> None:
    metrics = {
        "auc": {"value": 0.91234, "low": 0.88, "high": 0.94, "n": 400, "method": "DeLong"},
        "sensitivity": {"value": None, "low": None, "high": None, "n": 0, "reason": "no positive image"},
    }
    push(whole_bundle(tmp_path / "bundle", evaluation={"protocol": "strict", "metrics": metrics}), NAME)
    text = at_hub(server)["README.md"].decode()
    read = hub.ModelCard(text).data
    assert (read.license, read.library_name, read.pipeline_tag) == ("cc-by-nc-4.0", "nevus", "image-classification")
    assert read.datasets == ["isic2020"]
    assert {"dermoscopy", "not-for-diagnosis"} <= set(read.tags)
    (result,) = read.eval_results
    assert (result.metric_type, result.metric_value) == ("roc_auc", 0.9123)
    assert "0.880 to 0.940, n 400" in result.metric_name
    assert "strict" in result.dataset_split
    assert text.endswith("# lesions\n\n---\n\nA card.\n")


@pytest.mark.parametrize(
    ("licences", "expected"),
    [({"CC-0": 5}, "cc0-1.0"), ({"CC-BY": 5, "CC-0": 1}, "cc-by-4.0"), ({"CC-BY-NC 4.0": 5, "": 1}, "other"), ({}, "other")],
)
def test_the_licence_is_the_strictest_of_the_images_or_other(
    server: HubStandIn, tmp_path: Path, licences: dict[str, int], expected: str
) -> None:
    push(whole_bundle(tmp_path / "bundle", training_data={"licences": licences}), NAME)
    read = hub.ModelCard(at_hub(server)["README.md"].decode()).data
    assert read.license == expected
    assert not read.eval_results


def test_the_head_may_be_edited_on_the_hub_and_nothing_else(server: HubStandIn, bundle: Bundle, tmp_path: Path) -> None:
    push(bundle, NAME)
    repository, card = server.repositories[NAME], at_hub(server)["README.md"]
    repository.commit("main", {"README.md": card.replace(b"---\n", b"---\ndoi: 10.1/x\n", 1), "notes.txt": b"not the bundle's"})
    back, _ = pull(NAME, tmp_path / "back")
    assert contents(back) == contents(bundle)
    repository.commit("main", {"README.md": card.replace(b"A card", b"A better card")})
    with pytest.raises(BundleError, match=r"(?s)me/lesions@[0-9a-f]{12}: .*README\.md: its SHA-256 is .*changed on the hub"):
        pull(NAME, tmp_path / "other")


@pytest.mark.parametrize(
    "name", ["model.onnx", *(pytest.param(n, marks=pytest.mark.slow) for n in ("weights.safetensors", "bundle.json"))]
)
def test_a_file_that_was_changed_on_the_hub_is_refused(server: HubStandIn, bundle: Bundle, tmp_path: Path, name: str) -> None:
    pushed = push(bundle, NAME)
    content = at_hub(server)[name]
    server.repositories[NAME].commit("main", {name: content[:99] + b"#" + content[100:]})
    for out in ("folder", "file.nevus"):
        with pytest.raises(BundleError, match=r"damaged|was changed|not as it was written|its format is"):
            pull(NAME, tmp_path / out)
        assert not (tmp_path / out).exists()
        assert not origin_path(tmp_path / out).exists()
    # A commit's hash still gives what it gave.
    back, origin = pull(NAME, tmp_path / "before", revision=pushed.commit)
    assert contents(back) == contents(bundle)
    assert origin["commit"] == origin["revision"] == pushed.commit


@pytest.mark.slow
def test_branches_and_further_pushes(server: HubStandIn, bundle: Bundle, tmp_path: Path) -> None:
    push(bundle, NAME)
    other = whole_bundle(tmp_path / "other", temperature=2.0)
    pushed = push(other, NAME, revision="trial")
    assert pull(NAME, tmp_path / "a")[0].document["temperature"] == 1.25
    assert pull(NAME, tmp_path / "b", revision="trial")[0].document["temperature"] == 2.0
    assert pull(NAME, tmp_path / "c", revision=pushed.commit)[0].document["temperature"] == 2.0


def test_private_is_private_or_nothing_is_pushed(
    server: HubStandIn, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(bundle, "me/hidden", private=True)
    assert server.repositories["me/hidden"].private
    push(bundle, "me/open")
    before = server.repositories["me/open"].branches["main"]
    with pytest.raises(DataError, match="me/open: is public, and --private was asked for"):
        push(bundle, "me/open", private=True)
    assert server.repositories["me/open"].branches["main"] == before
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    pull("me/open", tmp_path / "open")
    with pytest.raises(NotAvailableError, match=r"me/hidden at http://127.*is not there, or not open to you.*hf auth login"):
        pull("me/hidden", tmp_path / "hidden")


def test_a_wrong_token_a_missing_repository_and_a_missing_revision(
    server: HubStandIn, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(bundle, NAME)
    with pytest.raises(NotAvailableError, match="is not there, or not open to you"):
        pull("me/nothing", tmp_path / "out")
    with pytest.raises(NotAvailableError, match=r"has no such revision\. Give a branch, a tag"):
        pull(NAME, tmp_path / "out", revision="v9")
    with pytest.raises(DataError, match="lesions: expected OWNER/NAME"):
        pull("lesions", tmp_path / "out")
    with pytest.raises(DataError, match="no name that a repository can have"):
        push(bundle, "me/le sions")
    server.repositories["me/empty"] = type(server.repositories[NAME])()
    server.repositories["me/empty"].commit("main", {"README.md": b"# Hello"})
    with pytest.raises(BundleError, match=r"me/empty@main: holds no bundle: it has no bundle\.json"):
        pull("me/empty", tmp_path / "out")
    monkeypatch.setenv("HF_TOKEN", "hf_another-token")
    for call in (lambda: push(bundle, NAME), lambda: pull(NAME, tmp_path / "out")):
        with pytest.raises(NotAvailableError, match=r"the hub refuses the token \(401\)"):
            call()
    assert not (tmp_path / "out").exists()


def test_a_download_that_is_cut_goes_on_or_leaves_nothing(server: HubStandIn, bundle: Bundle, tmp_path: Path) -> None:
    push(bundle, NAME)
    server.faults["weights.safetensors"].extend(["cut", "cut"])
    back, _ = pull(NAME, tmp_path / "back")
    assert contents(back) == contents(bundle)
    # Half, half of what is left, and so on, until nothing more comes.
    server.faults["weights.safetensors"].extend(["cut"] * 40)
    with pytest.raises(NotAvailableError, match=r"cannot be reached, or was cut off.*Nothing was left half-written"):
        pull(NAME, tmp_path / "cut")
    server.faults.clear()
    server.faults["model.onnx"].extend(["500"] * 40)
    with pytest.raises(NotAvailableError, match="the hub answers 500"):
        pull(NAME, tmp_path / "cut")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "back.origin.json", "bundle"]


def test_a_hub_that_is_not_there_and_one_that_must_not_be_asked(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(NotAvailableError, match="the hub cannot be reached"):
        pull(NAME, tmp_path / "out")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(NotAvailableError, match="HF_HUB_OFFLINE is set"):
        push(bundle, NAME)


def test_a_bundle_of_a_later_version_on_the_hub(server: HubStandIn, bundle: Bundle, tmp_path: Path) -> None:
    push(bundle, NAME)
    later = sealed({**bundle.document, "format": FORMAT + 1}).encode()
    server.repositories[NAME].commit("main", {"bundle.json": later})
    server.requests.clear()
    with pytest.raises(BundleError, match=rf"its format is {FORMAT + 1}; this nevus reads {FORMAT}\. Update nevus"):
        pull(NAME, tmp_path / "out")
    assert not any("model.onnx" in request for request in server.requests), "nothing more is fetched of it"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"../../outside.json": "0" * 63 + "1"}, "has a path"),
        ({"weights.pt": "0" * 63 + "1"}, "may be a pickle"),
        ({"novelty.safetensors": "0" * 63 + "1"}, "the bundle is not whole"),
    ],
)
def test_a_document_that_names_what_it_may_not(
    server: HubStandIn, bundle: Bundle, tmp_path: Path, files: dict[str, str], message: str
) -> None:
    push(bundle, NAME)
    document: dict[str, Any] = {**bundle.document, "files": {**bundle.document["files"], **files}}
    server.repositories[NAME].commit("main", {"bundle.json": sealed(document).encode(), "weights.pt": b"x"})
    with pytest.raises(BundleError, match=message):
        pull(NAME, tmp_path / "out" / "deep")
    assert not (tmp_path / "outside.json").exists()


def test_what_is_there_already_is_not_touched(server: HubStandIn, bundle: Bundle, tmp_path: Path) -> None:
    push(bundle, NAME)
    server.requests.clear()
    with pytest.raises(NevusError, match="is there already"):
        pull(NAME, bundle.path)
    assert server.requests == [], "said before anything is fetched"


def test_a_bundle_that_could_not_answer_is_not_pushed(server: HubStandIn, tmp_path: Path) -> None:
    broken = whole_bundle(tmp_path / "broken", temperature=0, classes=["one"])
    with pytest.raises(BundleError, match=r"(?s)classes: .*, expected two or more.*temperature: 0, expected a number above 0"):
        push(broken, NAME)
    assert server.requests == []


def test_without_the_package_it_says_what_to_install(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nevus.bundle.hub.find_spec", lambda name: None)
    with pytest.raises(NotAvailableError, match=r"pip install 'nevus\[hub\]'"):
        push(bundle, NAME)
