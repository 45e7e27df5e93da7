"""What the page of a grid says: each published row, ours under each protocol, their difference, and footnotes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nevus.data.splits import label
from nevus.reports.wording import PROTOCOLS
from nevus.reproduce.figures import FACTS, compared, difference, figure, written
from nevus.reproduce.grid import SMOKE, Grid
from nevus.reproduce.job import DONE, FAILED, Job, Outcome
from nevus.reproduce.published import Table, paper_notes
from nevus.reproduce.sizes import backbone_sizes
from nevus.reproduce.systems import assumed, num_images, settings_for, systems

FULL = "full"
_BACKBONE = "backbone:"


@dataclass(frozen=True)
class Cell:
    """A text and the numbers of its footnotes."""

    text: str
    notes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Block:
    """A table of the page."""

    anchor: str
    title: Cell
    header: tuple[Cell, ...]
    lines: list[tuple[Cell, ...]]


@dataclass
class Contents:
    """The page: what must be known before any figure, the tables, the footnotes by number from 1, and whether a row failed."""

    title: str
    warning: str
    facts: list[str]
    blocks: list[Block] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: bool = False

    def note(self, *texts: str) -> tuple[int, ...]:
        """The numbers of footnotes, which are added where they are new."""
        self.notes += [text for text in dict.fromkeys(texts) if text not in self.notes]
        return tuple(sorted({self.notes.index(text) + 1 for text in texts}))


def document(grid: Grid) -> Contents:
    """The page of a grid whose jobs have ended."""
    smoke = grid.budget.name == SMOKE
    title = f"{'SMOKE RUN of ' if smoke else ''}{grid.paper}: the published tables, and what is found here"
    contents = Contents(title, _warning(grid), _facts(grid))
    for table in grid.tables:
        rows = [row for row in table.rows if (table.name, row) in grid.rows]
        if not rows:
            continue
        sized = table.systems[rows[0]].startswith(_BACKBONE)
        whole = contents.note(*(note.text for note in table.notes if not note.row and not note.column))
        columns = [Cell("It")] if smoke and not sized else [_head(contents, table, column) for column in table.columns]
        header = (Cell("Row"), Cell("Protocol" if smoke and not sized else "Figures of"), *columns)
        lines: list[tuple[Cell, ...]] = []
        for row in rows:
            system = table.systems[row]
            if system.startswith(_BACKBONE):
                lines += _backbone_lines(contents, table, row, system.removeprefix(_BACKBONE))
            elif smoke:
                lines += [(Cell(row), Cell(label(job.protocol)), _ended(contents, job.outcome())) for job in grid.of(system)]
            else:
                lines += _lines(contents, grid, table, row, grid.of(system))
        anchor = table.name.lower().replace(" ", "-")
        contents.blocks.append(Block(anchor, Cell(f"{table.name}: {table.title}", whole), header, lines))
    contents.blocks.append(_runs(contents, grid))
    return contents


def unlike(grid: Grid, job: Job, evaluation: Mapping[str, Any]) -> list[str]:
    """In what ours is not of the same thing as the published figure; none where protocol, images and training are the paper's."""
    system = systems(grid.paper)[job.system]
    run, _, all_of_them = evaluation["provenance"]["folds_run"].partition(" of ")
    reasons = {
        "budget": grid.budget.name != FULL,
        "protocol": job.protocol != system.protocol,
        "images": grid.num_images != num_images(grid.paper),
        "folds": run != all_of_them,
        "settings": bool(settings_for(system, grid.settings)),
    }
    return [reason for reason, holds in reasons.items() if holds]


def _warning(grid: Grid) -> str:
    if grid.budget.name == FULL:
        return (
            "Our figures stand beside the published ones; a difference is a comparison of like with like only where it is not in "
            "brackets. Even then the test images differ: the papers' random splits were never published."
        )
    return f"{grid.budget.says}."


def _facts(grid: Grid) -> list[str]:
    smoke = grid.budget.name == SMOKE
    protocols = dict.fromkeys(job.protocol for job in grid.jobs)
    facts = []
    if not smoke:
        facts += [
            f"Budget: {grid.budget.name}, {grid.budget.says}.",
            f"Images: {grid.num_images:,}; the paper's data set has {num_images(grid.paper):,}. Whether the files are as large "
            "as the originals is not looked at.",
            "Ours: the figure, or its mean ± standard deviation over folds where the paper prints these, and in brackets a 95% "
            "bootstrap interval over groups of the pooled figure.",
            "≠ before words: what ours does not share with the published figure; the difference then stands in brackets and is "
            "no comparison of like with like.",
        ]
    facts += [f"{label(protocol)}: {PROTOCOLS[protocol]}" for protocol in protocols]
    if grid.settings:
        facts.append(f"Changed in the recipes: {', '.join(grid.settings)}.")
    return facts + [f"Assumed: {text}" for text in assumed(grid.paper)] + paper_notes(grid.paper)


def _lines(contents: Contents, grid: Grid, table: Table, row: str, jobs: Sequence[Job]) -> list[tuple[Cell, ...]]:
    """The published line of a row, and of each job ours and the difference."""
    printed = [_printed(contents, table, row, column) for column in table.columns]
    lines = [(Cell(row), Cell("published"), *printed)]
    for job in jobs:
        outcome = job.outcome()
        ours = f"ours, {label(job.protocol)}"
        if outcome is None or outcome.status != DONE:
            lines.append((Cell(row), Cell(ours), *[_ended(contents, outcome)] * len(table.columns)))
            continue
        evaluation = job.evaluation()
        figures = {column: figure(column, evaluation, outcome.facts) for column in table.columns}
        reasons = unlike(grid, job, evaluation)
        cells = [_ours(contents, table, column, found) for column, found in figures.items()]
        lines.append((Cell(row), Cell(ours), *cells))
        differences = [_difference(table, row, column, found, bool(reasons)) for column, found in figures.items()]
        what = f"difference, {label(job.protocol)}" + (f" ≠ {', '.join(reasons)}" if reasons else "")
        lines.append((Cell(row), Cell(what), *differences))
    return lines


def _backbone_lines(contents: Contents, table: Table, row: str, name: str) -> list[tuple[Cell, ...]]:
    """Table 2: the network as it is, before any training."""
    published = [_printed(contents, table, row, column) for column in table.columns]
    try:
        sizes = backbone_sizes(name)
    except Exception as error:
        contents.failed = True
        reason = contents.note(f"{name}: {error}")
        return [(Cell(row), Cell("published"), *published), (Cell(row), Cell("ours"), *[Cell("failed", reason)] * len(published))]
    ours = [Cell(written(column, sizes[column])) for column in table.columns]
    found = {column: {"value": sizes[column], "fold_mean": None} for column in table.columns}
    differences = [_difference(table, row, column, found[column], False) for column in table.columns]
    return [
        (Cell(row), Cell(what), *cells)
        for what, cells in zip(("published", "ours", "difference"), (published, ours, differences), strict=True)
    ]


def _printed(contents: Contents, table: Table, row: str, column: str) -> Cell:
    text, deviation = table.rows[row][column]
    # A row's note stands at its first figure, a column's in the header, a cell's in the cell.
    first = column == next(iter(table.columns))
    notes = [note.text for note in table.notes if note.row == row and (note.column == column or (first and not note.column))]
    shown = text.removesuffix("%") + (f" ± {deviation}" if deviation else "")
    return Cell(shown, contents.note(*notes))


def _head(contents: Contents, table: Table, column: str) -> Cell:
    notes = [note.text for note in table.notes if note.column == column and not note.row]
    return Cell(table.columns[column] + (", %" if table.percent else ""), contents.note(*notes))


def _ours(contents: Contents, table: Table, column: str, found: Mapping[str, Any]) -> Cell:
    value = compared(found, table.num_folds or 1)
    if value is None:
        return Cell("–", contents.note(f"– {found.get('reason', 'not known')}."))
    text = written(column, value, percent=table.percent)
    if table.num_folds and found["fold_sd"] is not None:
        text += f" ± {written(column, found['fold_sd'], percent=table.percent)}"
    if found["low"] is not None:
        low, high = (written(column, found[end], percent=table.percent) for end in ("low", "high"))
        text += f" [{low}, {high}]"
    return Cell(text)


def _difference(table: Table, row: str, column: str, found: Mapping[str, Any], bracketed: bool) -> Cell:
    gap = difference(compared(found, table.num_folds or 1), table.rows[row][column][0])
    text = written(column, gap, percent=table.percent, signed=True)
    return Cell(f"({text})" if bracketed and gap is not None and column not in FACTS[:3] else text)


def _ended(contents: Contents, outcome: Outcome | None) -> Cell:
    if outcome is None:
        return Cell("not run")
    if outcome.status == DONE:
        return Cell("ran")
    contents.failed |= outcome.status == FAILED
    return Cell(outcome.status, contents.note(outcome.reason))


def _runs(contents: Contents, grid: Grid) -> Block:
    """How each run ended, and what its network is."""
    columns = FACTS[:3] if grid.budget.name == SMOKE else FACTS
    names = {
        "parameters": "Parameters",
        "size_mb": "MiB",
        "depth": "Layers with weights",
        "seconds_per_epoch": "Seconds an epoch",
    }
    header = (Cell("System"), Cell("Protocol"), Cell("It"), *(Cell(names[column]) for column in columns))
    lines = []
    for job in grid.jobs:
        outcome = job.outcome()
        facts = outcome.facts if outcome else {}
        cells = [Cell(f"{facts[column]:,.0f}" if column in facts else "–") for column in columns]
        lines.append((Cell(job.system), Cell(label(job.protocol)), _ended(contents, outcome), *cells))
    return Block("runs", Cell("The runs"), header, lines)
