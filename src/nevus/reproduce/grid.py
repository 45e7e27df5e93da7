"""The grid: which systems under which protocols, run where they are missing, and both papers' tables beside what came out."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from nevus.data.manifest import Manifest
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
            folder = out.resolve() / "runs" / f"{paper}-{system.name}-{protocol}-{chosen_budget.name}"
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
