"""A paper from end to end: its grid planned, what is missing run, and the tables written."""

from collections.abc import Sequence
from pathlib import Path

from nevus import files as disk
from nevus.data.lesions import LOOKS
from nevus.data.manifest import Manifest
from nevus.data.phantom import write_phantoms
from nevus.errors import DataError
from nevus.reproduce.grid import SMOKE, plan, run
from nevus.reproduce.page import html, markdown
from nevus.reproduce.tables import document


def reproduce(
    paper: str,
    out: Path,
    *,
    data: Path | None = None,
    rows: Sequence[str] = (),
    protocols: Sequence[str] = (),
    budget_name: str = "full",
    settings: Sequence[str] = (),
    num_workers: int = 1,
    runner: str = "processes",
) -> tuple[list[Path], bool]:
    """Run what is missing of a paper's grid and write its tables; return the two files and whether every row ended well.

    Parameters
    ----------
    paper, rows, protocols, budget_name, settings
        As `plan` takes them.
    out
        Gets the two files, `runs` and, for the smoke budget, `phantoms`; the same call goes on where it was stopped.
    data
        The manifest of the paper's images; drawings take its place under the smoke budget alone.
    num_workers, runner
        How many rows run at a time, and how: one of `RUNNERS`.

    Raises
    ------
    DataError
        `data` is missing, or given where drawings are used; and as `plan` does.

    Examples
    --------
    >>> reproduce("zoome", Path("smoke"), budget_name="smoke", rows=["alexnet"])  # doctest: +SKIP
    ([PosixPath('smoke/zoome-smoke.md'), PosixPath('smoke/zoome-smoke.html')], True)
    """
    manifest = images_of(budget_name, data, out)
    grid = plan(paper, out, manifest, rows=rows, protocols=protocols, budget_name=budget_name, settings=settings)
    run(grid, num_workers=num_workers, runner=runner)
    # Here and not above: these import torch, and what is wrong with the words is said without it.
    contents = document(grid)
    stem = f"{paper}-{SMOKE}" if budget_name == SMOKE else paper
    paths = [out / f"{stem}.md", out / f"{stem}.html"]
    for path, render in zip(paths, (markdown, html), strict=True):
        disk.write(path, render(contents))
    return paths, not contents.failed


def images_of(budget_name: str, data: Path | None, out: Path) -> Manifest:
    """The manifest that was given, or drawings for the smoke budget; raises where these do not go together."""
    if budget_name == SMOKE:
        if data:
            raise DataError("--budget smoke runs on drawings. Leave --data out, or choose another budget.")
        # As few as give every protocol all classes where it chooses, and melanomas where it tests.
        shares = {**dict.fromkeys(LOOKS, 1.0), "mel": 3.0}
        return Manifest.read(write_phantoms(out / "phantoms", num_lesions=54, size=(48, 64), shares=shares))
    if not data:
        raise DataError("--data: not given. Give the manifest of the paper's images, as `nevus prepare` writes one.")
    return Manifest.read(data)
