"""Folds under named protocols. `strict` never lets a group into two folds; the papers' own are kept and called optimistic."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nevus.data.manifest import Manifest
from nevus.data.stratify import check_counts, deal_groups, deal_images
from nevus.data.tables import number_values, read_table, sort_order
from nevus.errors import DataError, listed
from nevus.files import write
from nevus.recipe import Protocol, Task

Indices = NDArray[np.int64]

PROTOCOLS: dict[str, str] = {
    "strict": "grouped by patient, lesion and near-duplicate; thresholds, temperature and epoch chosen on an inner validation "
    "split of the training groups; each test fold touched once",
    "paper-zoome": "ten stratified folds of images, whoever they belong to; the threshold chosen on the test fold",
    "paper-2022": "one stratified 90/10 split of images, rows without age dropped; the epoch chosen on the test images",
    "paper-datta": "test images only from lesions with a single image; the epoch chosen on the test images",
}
OPTIMISTIC = frozenset(PROTOCOLS) - {"strict"}
_UNTESTED = -1


def label(protocol: str) -> str:
    """How a protocol is printed, everywhere.

    >>> label("paper-zoome"), label("strict")
    ('paper-zoome (optimistic)', 'strict')
    """
    return f"{protocol} (optimistic)" if protocol in OPTIMISTIC else protocol


@dataclass(frozen=True)
class Parts:
    """Row indices of a manifest; under `paper-2022` and `paper-datta` validation and test are the same rows."""

    train: Indices
    validation: Indices
    test: Indices


@dataclass(frozen=True)
class Folds:
    """A fold for each image of a manifest; -1 is always trained on and never tested."""

    frame: pd.DataFrame
    task: Task
    protocol: Protocol
    seed: int
    validation_share: float
    manifest_sha256: str

    @property
    def tested(self) -> list[int]:
        """The folds that are tested, ascending."""
        return sorted(int(fold) for fold in self.frame["fold"].unique() if fold != _UNTESTED)

    def parts(self, manifest: Manifest, fold: int) -> Parts:
        """The rows of `manifest` that train, choose and test when `fold` is the test fold.

        Under `strict` the validation rows are a grouped, stratified share of the other folds; under `paper-zoome` a share of
        their images.

        Raises
        ------
        DataError
            There is no such fold, or an image of the manifest has none.
        """
        if fold not in self.tested:
            raise DataError(f"fold {fold}: there are only {', '.join(map(str, self.tested))}.")
        rows, classes, targets = manifest.for_task(self.task)
        if len(rows) != len(manifest):
            raise DataError("folds belong to the rows that have an answer: pass the manifest that `for_task` returned.")
        places = pd.Index(self.frame["image_id"]).get_indexer(manifest.frame["image_id"])
        inside = np.flatnonzero(places >= 0)
        tested = self.frame["fold"].to_numpy()[places[inside]] == fold
        test, others = inside[tested], inside[~tested]
        if self.protocol in ("paper-2022", "paper-datta"):
            return Parts(others, test, test)
        rng = np.random.default_rng([self.seed, 1, fold])
        groups = _group_codes(manifest.frame)[others] if self.protocol == "strict" else np.arange(len(others))
        groups = np.unique(groups, return_inverse=True)[1]
        shares = np.array([1 - self.validation_share, self.validation_share])
        held_out = deal_groups(targets[others], groups, shares, rng) == 1
        missing = [name for index, name in enumerate(classes) if not (targets[others][held_out] == index).any()]
        if missing:
            remedy = "Use a larger data.validation_share, fewer folds, or leave the class out."
            raise DataError(f"fold {fold}: the validation split has no {', '.join(missing)}. {remedy}")
        return Parts(others[~held_out], others[held_out], test)

    def write(self, path: Path | str) -> None:
        """Write folds.csv; its first line says the protocol and the manifest's hash."""
        header = {
            "task": self.task,
            "protocol": self.protocol,
            "seed": self.seed,
            "validation_share": self.validation_share,
            "manifest_sha256": self.manifest_sha256,
        }
        line = "# nevus folds " + " ".join(f"{name}={value}" for name, value in header.items())
        write(path, line + "\n" + self.frame.to_csv(index=False, lineterminator="\n"))

    @classmethod
    def read(cls, path: Path | str, manifest: Manifest) -> "Folds":
        """Read folds.csv for a manifest.

        Raises
        ------
        DataError
            The header is not ours, the manifest is another, images or folds are missing, or, under `strict`, a group lies in two
            folds; every such image or group is named.
        """
        path = Path(path)
        header = _read_header(path)
        table = _read_rows(path)
        frame = pd.DataFrame({"image_id": table["image_id"], "fold": table["fold"].astype(np.int64)})
        folds = cls(
            frame,
            header["task"],  # type: ignore[arg-type]
            header["protocol"],  # type: ignore[arg-type]
            int(header["seed"]),
            float(header["validation_share"]),
            header["manifest_sha256"],
        )
        _check(folds, manifest, path)
        return folds


def split(
    manifest: Manifest,
    *,
    task: Task,
    protocol: Protocol = "strict",
    num_folds: int = 5,
    validation_share: float = 0.15,
    seed: int = 0,
) -> Folds:
    """Assign the rows of a manifest to folds; the same rows and seed give the same folds, whatever the rows' order.

    Parameters
    ----------
    manifest
        Rows that have an answer to `task` (see `Manifest.for_task`).
    task
        "diagnosis" or "malignant": what the folds are stratified by.
    protocol
        One of `PROTOCOLS`. `num_folds` counts for `strict` and `paper-zoome`; the other two are one split.
    validation_share
        Of the training folds, chosen anew for each test fold by `Folds.parts`.

    Raises
    ------
    DataError
        A class has fewer groups (or images) than folds.

    Examples
    --------
    >>> folds = split(Manifest.read("manifest.csv"), task="diagnosis", num_folds=5)  # doctest: +SKIP
    """
    rows, classes, targets = manifest.for_task(task)
    # Dealing goes by position, so the rows are first put in an order that does not depend on how they came.
    order = sort_order(rows.frame["image_id"])
    frame, targets = (
        rows.frame[["image_id", "lesion_id", "group_id", "age_years"]].iloc[order].reset_index(drop=True),
        targets[order],
    )
    groups = _group_codes(frame)
    rng = np.random.default_rng([seed, 0])
    kept = np.ones(len(frame), np.bool_)
    if protocol == "strict":
        check_counts(targets, groups, classes, num_folds)
        fold_of = deal_groups(targets, groups, np.full(num_folds, 1 / num_folds), rng)
    elif protocol == "paper-zoome":
        check_counts(targets, np.arange(len(targets)), classes, num_folds)
        fold_of = deal_images(targets, num_folds, rng)
    elif protocol == "paper-2022":
        kept = frame["age_years"].notna().to_numpy()
        fold_of = _one_split(targets, kept, 0.10, rng)
    else:
        lesions = frame["lesion_id"].where(frame["lesion_id"] != "", frame["image_id"])
        single = (lesions.map(lesions.value_counts()) == 1).to_numpy()
        fold_of = _one_split(targets, single, 0.15, rng)
    assigned = pd.DataFrame({"image_id": frame["image_id"], "fold": fold_of})[kept].reset_index(drop=True)
    return Folds(assigned, task, protocol, seed, validation_share, manifest.sha256)


def _one_split(targets: Indices, eligible: NDArray[np.bool_], share: float, rng: np.random.Generator) -> Indices:
    """Fold 0 is a stratified share of the eligible rows (rounded up, as scikit-learn does), all else is -1."""
    rows = np.flatnonzero(eligible)
    num_test = -(-len(rows) * round(share * 100) // 100)
    counts = np.bincount(targets[rows])
    exact = counts * num_test / len(rows)
    wanted = np.floor(exact).astype(np.int64)
    # The largest remainders get what rounding down left over.
    for index in np.argsort(-(exact - wanted), kind="stable")[: num_test - wanted.sum()]:
        wanted[index] += 1
    fold_of = np.full(len(targets), _UNTESTED, np.int64)
    for target, count in enumerate(wanted):
        members = rows[targets[rows] == target]
        fold_of[rng.permutation(members)[:count]] = 0
    return fold_of


def _group_codes(frame: pd.DataFrame) -> Indices:
    """A number for each row's group, in the order of the groups' names."""
    codes, names = number_values(frame["group_id"])
    ranks = np.empty(len(names), np.int64)
    ranks[sort_order(names)] = np.arange(len(names))
    return ranks[codes]


def _read_header(path: Path) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            line = file.readline()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}).") from error
    words = line.split()
    header = dict(word.split("=", 1) for word in words[3:] if "=" in word)
    needed = ("task", "protocol", "seed", "validation_share", "manifest_sha256")
    if words[:3] != ["#", "nevus", "folds"] or any(name not in header for name in needed):
        raise DataError(f"{path}: its first line must be '# nevus folds' with {', '.join(needed)}. Write it with `nevus split`.")
    if header["protocol"] not in PROTOCOLS:
        raise DataError(f"{path}: protocol {header['protocol']!r}; expected {', '.join(PROTOCOLS)}.")
    return header


def _read_rows(path: Path) -> pd.DataFrame:
    table = read_table(path, required=("image_id", "fold"), skip_lines=1)
    folds = pd.to_numeric(table["fold"], errors="coerce")
    wrong = folds.isna() | (folds % 1 != 0) | (folds < _UNTESTED)
    problems = [
        f"row {index + 3}: fold {table['fold'][index]!r}: expected a whole number from -1" for index in np.flatnonzero(wrong)
    ]
    repeated = table["image_id"].duplicated(keep=False)
    problems += [
        f"row {index + 3}: image_id {table['image_id'][index]!r} appears more than once" for index in np.flatnonzero(repeated)
    ]
    if problems:
        raise DataError(listed(f"{path}: {len(problems)} problems:", problems, remedy="Write the folds anew with `nevus split`."))
    return table


def _check(folds: Folds, manifest: Manifest, path: Path) -> None:
    """Refuse folds of other rows, image by image; groups in two folds, where the protocol forbids it; another hash."""
    places = pd.Index(manifest.frame["image_id"]).get_indexer(folds.frame["image_id"])
    without = np.ones(len(manifest), np.bool_)
    without[places[places >= 0]] = False
    problems = [f"{name}: in the folds, not in the manifest" for name in sorted(folds.frame["image_id"][places < 0])]
    if folds.protocol != "paper-2022":  # which leaves rows without age out
        problems += [f"{name}: has no fold" for name in sorted(manifest.frame["image_id"][without])]
    if problems:
        raise DataError(listed(f"{path}: {len(problems)} images do not match {manifest.path}:", problems))
    if folds.protocol == "strict":
        codes, names = number_values(manifest.frame["group_id"].iloc[places])
        pairs = pd.DataFrame({"group": codes, "fold": folds.frame["fold"].to_numpy()}).drop_duplicates()
        spread = pairs[pairs["group"].duplicated(keep=False)].groupby("group")["fold"].unique()
        crossing = sorted(f"{names[group]}: folds {', '.join(map(str, sorted(found)))}" for group, found in spread.items())
        if crossing:
            remedy = "A group may lie in one fold only. Write the folds anew with `nevus split`."
            raise DataError(listed(f"{path}: {len(crossing)} groups lie in two folds:", crossing, remedy=remedy))
    if folds.manifest_sha256 != manifest.sha256:
        found, expected = folds.manifest_sha256[:12], manifest.sha256[:12]
        raise DataError(f"{path}: was made for another manifest ({found}…, this one is {expected}…). Split this manifest anew.")
