"""Bundles in a Hugging Face hub repository: pushed in one commit, pulled by the commit's hash, every byte compared.

The repository holds the bundle's own files. Its README.md has the hub's head before the bundle's card; pulling takes the head off
again, so that it may be edited on the hub. Everything else must come back as it was pushed.
"""

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nevus.bundle import Bundle
from nevus.bundle.card_header import card_header
from nevus.bundle.document import MAX_FILE_BYTES, NAME, parsed
from nevus.bundle.pack import SUFFIX, pack, unpack
from nevus.bundle.schema import check_schema
from nevus.errors import BundleError, DataError, NevusError, NotAvailableError, listed
from nevus.files import write, write_json

if TYPE_CHECKING:
    from huggingface_hub import HfApi

CARD = "README.md"


@dataclass(frozen=True)
class Pushed:
    """What a push made: the repository, the hash of the commit, and its address."""

    repository: str
    commit: str
    url: str


def push(
    bundle: Bundle | Path | str,
    repository: str,
    *,
    private: bool = False,
    revision: str = "main",
) -> Pushed:
    """Write a bundle into a hub repository, in one commit, and make the repository where there is none.

    Files of the repository that the bundle does not have stay as they are.

    Parameters
    ----------
    bundle
        A bundle or the path of one.
    repository
        OWNER/NAME.
    private
        Make it private; a public one that is there already is refused.
    revision
        The branch, made where it is missing.

    Raises
    ------
    BundleError
        The bundle cannot be loaded, or could not answer.
    NotAvailableError
        huggingface_hub is not installed, or the hub cannot be reached or refuses.
    DataError
        The repository's name cannot be, or it is public and should be private.

    Examples
    --------
    >>> push("runs/mine/bundle", "me/lesions", private=True).commit  # doctest: +SKIP
    '5be34c5d1ad2594deef6de77689a3ac3008190c0'
    """
    bundle = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
    check_schema(bundle)
    with _hub(repository) as hub:
        from huggingface_hub import CommitOperationAdd

        hub.create_repo(repository, private=private or None, exist_ok=True)
        if private and not hub.model_info(repository).private:
            raise DataError(f"{repository}: is public, and --private was asked for. Nothing was pushed; give another name.")
        if revision != "main":
            hub.create_branch(repository, branch=revision, exist_ok=True)
        contents = {name: bundle.read(name) for name in bundle.names}
        contents[CARD] = hub_header(bundle.document).encode() + contents.get(CARD, b"")
        operations = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=content) for name, content in contents.items()]
        message = f"nevus bundle {bundle.document['name']}, {bundle.document['checksum'][:12]}"
        done = hub.create_commit(repository, operations, commit_message=message, revision=revision)
        return Pushed(repository, str(done.oid), str(done.commit_url))


def pull(repository: str, out: Path | str, *, revision: str = "main") -> tuple[Bundle, dict[str, str]]:
    """Fetch a bundle from a hub repository, wholly or not at all, and record where it is from.

    Parameters
    ----------
    repository
        OWNER/NAME.
    out
        A folder that is not there yet, or a file named .nevus. Beside it, OUT.origin.json records the repository, the revision
        asked for, the hash of the commit that it was, and the bundle's checksum.
    revision
        A branch, a tag, or a commit's hash, which alone will always give the same files.

    Returns
    -------
    The bundle, and what was recorded.

    Raises
    ------
    BundleError
        The repository has no bundle, one of another format, or one that was changed.
    NotAvailableError
        huggingface_hub is not installed, or the hub cannot be reached or refuses.
    NevusError
        `out` is a folder that holds something, or cannot be written.
    """
    out = Path(out)
    if out.is_dir() and any(out.iterdir()):
        raise NevusError(f"{out}: is there already. Give a folder that is not, or an empty one.")
    with tempfile.TemporaryDirectory(prefix="nevus-") as folder:
        with _hub(repository) as hub:
            commit = _fetch(hub, repository, revision, Path(folder))
        try:
            fetched = Bundle.load(folder)
        except BundleError as error:
            said = str(error).replace(folder, f"{repository}@{commit[:12]}")
            raise BundleError(f"{said} If it still fails, it was changed on the hub: pull another revision.") from error
        origin = {
            "repository": repository,
            "revision": revision,
            "commit": commit,
            "checksum": str(fetched.document["checksum"]),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        bundle = (pack if out.suffix == SUFFIX else unpack)(fetched, out)
    write_json(origin_path(out), origin)
    return bundle, origin


def origin_path(path: Path | str) -> Path:
    """Where `pull` records what a bundle is from.

    >>> str(origin_path("lesions.nevus"))
    'lesions.nevus.origin.json'
    """
    return Path(f"{path}.origin.json")


def origin_of(bundle: Bundle) -> dict[str, Any] | None:
    """What `pull` recorded of this very bundle; None where it lies elsewhere, or another took its place."""
    try:
        origin = json.loads(origin_path(bundle.path).read_text(encoding="utf-8"))
        return dict(origin) if origin["checksum"] == bundle.document["checksum"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def hub_header(document: Mapping[str, Any]) -> str:
    """The head of a bundle's card on the hub, from bundle.json; `evaluation`, where there is one, is as in evaluation.json."""
    data, evaluation = document.get("training_data") or {}, document.get("evaluation") or {}
    figures = {
        name: (figure["value"], f"{name}, 95% interval {figure['low']:.3f} to {figure['high']:.3f}, n {figure['n']}")
        for name, figure in (evaluation.get("metrics") or {}).items()
        if figure["value"] is not None
    }
    return card_header(
        document["name"],
        licences=data.get("licences") or (),
        datasets=list(data.get("datasets") or ()),
        figures=figures,
        task={"malignant": "malignant or benign", "diagnosis": "which diagnosis"}[document["task"]],
        split=f"out of fold, protocol {evaluation.get('protocol')}",
    )


def _fetch(hub: "HfApi", repository: str, revision: str, folder: Path) -> str:
    """The bundle's files of a revision into `folder`, and the hash of the commit that it is."""
    info = hub.model_info(repository, revision=revision, files_metadata=True)
    commit = str(info.sha)
    sizes = {file.rfilename: file.size for file in info.siblings or []}
    if NAME not in sizes:
        raise BundleError(f"{repository}@{revision}: holds no bundle: it has no {NAME}.")
    _refuse_large(repository, {NAME: sizes[NAME]})
    content = Path(hub.hf_hub_download(repository, NAME, revision=commit, local_dir=folder)).read_bytes()
    # Its names are those of files to be written: they are checked before the first one is.
    files = parsed(f"{repository}@{commit[:12]}/{NAME}", content)["files"]
    if missing := [f"{name}: missing" for name in files if name not in sizes]:
        raise BundleError(
            listed(f"{repository}@{commit[:12]}: the bundle is not whole:", missing, remedy="Pull another revision.")
        )
    _refuse_large(repository, {name: sizes[name] for name in files})
    for name in files:
        hub.hf_hub_download(repository, name, revision=commit, local_dir=folder)
    if CARD in files:
        write(folder / CARD, without_head((folder / CARD).read_bytes(), files[CARD]))
    return commit


def without_head(card: bytes, digest: str) -> bytes:
    """A card without the hub's head, where that is what the bundle's card is; `digest` is the SHA-256 of the bundle's."""
    if hashlib.sha256(card).hexdigest() == digest or not card.startswith(b"---\n"):
        return card
    return card.partition(b"\n---\n\n")[2]


def _refuse_large(repository: str, sizes: Mapping[str, int | None]) -> None:
    large = [
        f"{name}: {size:,} bytes; at most {MAX_FILE_BYTES:,}" for name, size in sizes.items() if (size or 0) > MAX_FILE_BYTES
    ]
    if large:
        raise BundleError(listed(f"{repository}: files larger than a bundle may hold:", large, remedy="Nothing was fetched."))


@contextlib.contextmanager
def _hub(repository: str) -> "Iterator[HfApi]":
    """The hub; its client's errors become ours, with a remedy."""
    if find_spec("huggingface_hub") is None:
        raise NotAvailableError("the hub needs the package huggingface_hub. Install it with: pip install 'nevus[hub]'")
    from huggingface_hub import HfApi, errors

    if repository.count("/") != 1:
        raise DataError(f"{repository}: expected OWNER/NAME.")
    hub = HfApi(library_name="nevus")
    place = f"{repository} at {hub.endpoint}"
    login = "log in with `hf auth login` or set HF_TOKEN"
    try:
        yield hub
    except errors.HFValidationError as error:
        raise DataError(f"{repository}: no name that a repository can have ({error}).") from error
    except errors.OfflineModeIsEnabled as error:
        raise NotAvailableError("HF_HUB_OFFLINE is set, so the hub is not asked. Unset it to push or pull.") from error
    except errors.RevisionNotFoundError as error:
        raise NotAvailableError(f"{place}: has no such revision. Give a branch, a tag or a commit's hash.") from error
    except errors.RepositoryNotFoundError as error:
        raise NotAvailableError(f"{place}: is not there, or not open to you. If it is private, {login}.") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise NotAvailableError(
                f"{place}: the hub refuses the token ({status}). To push, it must be allowed to write; {login}."
            ) from error
        raise NotAvailableError(f"{place}: the hub answers {status}. Try again later.") from error
    except NevusError:
        raise
    except Exception as error:
        # The client's HTTP library raises classes of its own, and another version of the client has another library.
        # What it says of it lies deepest.
        cause: BaseException = error
        while cause.__cause__:
            cause = cause.__cause__
        words = f"the hub cannot be reached, or was cut off ({type(cause).__name__}: {cause})"
        raise NotAvailableError(f"{place}: {words}. Nothing was left half-written; run the command again.") from error
