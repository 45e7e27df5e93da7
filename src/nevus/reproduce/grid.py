"""The grid: which systems under which protocols, run where they are missing, and both papers' tables beside what came out."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from nevus import files as disk
from nevus.data.lesions import LOOKS
from nevus.data.manifest import Manifest
from nevus.data.phantom import write_phantoms
from nevus.errors import DataError
from nevus.reproduce.job import FAILED, Job
from nevus.reproduce.published import Table, published
from nevus.reproduce.runner import RUNNERS
from nevus.reproduce.systems import PAPERS_OWN, Budget, budget, protocol_of, recipe_of, systems

SMOKE = "smoke"
DEFAULT_PROTOCOLS = (PAPERS_OWN, "strict")


@dataclass(frozen=True)
class Grid:
    """What is to be run, and what its tables are to show: `rows` are (table's name, row's name)."""

    paper: str
    budget: Budget
    tables: list[Table]
    rows: set[tuple[str, str]]
    jobs: list[Job]
    num_images: int
    settings: tuple[str, ...]

    def of(self, system: str) -> list[Job]:
        """The jobs of a system."""
        return [job for job in self.jobs if job.system == system]


def plan(
    paper: str,
    out: Path,
    manifest: Manifest,
    *,
    rows: Sequence[str] = (),
    protocols: Sequence[str] = (),
    budget_name: str = "full",
    settings: Sequence[str] = (),
) -> Grid:
    """The grid of a paper.

    Parameters
    ----------
    paper
        One of `published.papers()`.
    out
        Runs go to folders of `out`/runs.
    manifest
        The images.
    rows
        Tables, rows or systems by name, "*" and "?" standing for anything; none means all.
    protocols
        Names of protocols, "paper" being each row's own; none means "paper" and "strict".
    budget_name
        One of systems.toml's.
    settings
        `a.b=c`, over every recipe; `name:a.b=c` over that of a system.

    Raises
    ------
    DataError
        Of `paper`, `rows`, `protocols` or `budget_name`, something is not there; what there is is listed.
    RecipeError
        A setting is not a recipe's.
    """
    tables, chosen_budget = published(paper), budget(budget_name)
    chosen = _chosen(tables, rows)
    known = systems(paper)
    used = {table.systems[row] for table in tables for row in table.rows if (table.name, row) in chosen}
    jobs = []
    for system in (known[name] for name in known if name in used):
        for protocol in dict.fromkeys(protocol_of(system, name) for name in protocols or DEFAULT_PROTOCOLS):
            folder = out.resolve() / "runs" / f"{system.name}-{protocol}-{chosen_budget.name}"
            recipe = recipe_of(system, protocol, chosen_budget, manifest.path.resolve(), tuple(settings))
            jobs.append(
                Job(
                    system.name,
                    protocol,
                    folder,
                    recipe,
                    manifest.sha256,
                    size=recipe_of(system, protocol, budget("full"), manifest.path).data.size,
                    folds=chosen_budget.folds,
                    one_pixel=system.one_pixel,
                    keep_models=chosen_budget.keep_models,
                )
            )
    num_images = len(manifest.for_task(jobs[0].recipe.data.task)[0]) if jobs else len(manifest)
    return Grid(paper, chosen_budget, tables, chosen, jobs, num_images, tuple(settings))


def run(grid: Grid, *, num_workers: int = 1, runner: str = "processes") -> None:
    """Run the jobs that have not ended well, so many at a time; each that ends is said on standard error."""
    # Those that failed are tried again: their cause may be gone.
    missing = [job for job in grid.jobs if (outcome := job.outcome()) is None or outcome.status == FAILED]
    for job in missing:
        job.write()
    by_folder = {job.folder: job for job in missing}
    say = f"{len(grid.jobs)} runs, {len(grid.jobs) - len(missing)} of them done before"
    print(say, file=sys.stderr, flush=True)
    for number, folder in enumerate(RUNNERS[runner](list(by_folder), num_workers), start=1):
        job = by_folder[folder]
        outcome = job.outcome()
        assert outcome is not None
        words = f"{outcome.status}{': ' if outcome.reason else ''}{outcome.reason}"
        print(f"{number} of {len(missing)}: {job.system}, {job.protocol}: {words}", file=sys.stderr, flush=True)


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
    from nevus.reproduce.page import html, markdown
    from nevus.reproduce.tables import document

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


def _chosen(tables: Sequence[Table], patterns: Sequence[str]) -> set[tuple[str, str]]:
    names = {(table.name, row): (table.name, row, table.systems[row]) for table in tables for row in table.rows}
    chosen = set()
    for pattern in patterns:
        # Brackets are part of rows' names, as in Layer[:240], and mean themselves.
        wanted = pattern.lower().replace("[", "[[]")
        found = {key for key, words in names.items() if any(fnmatchcase(word.lower(), wanted) for word in words)}
        if not found:
            known = [*(table.name for table in tables), *dict.fromkeys(words[2] for words in names.values())]
            raise DataError(f"--rows {pattern!r}: no table, row or system of that name. There are {', '.join(known)}.")
        chosen |= found
    return chosen if patterns else set(names)
