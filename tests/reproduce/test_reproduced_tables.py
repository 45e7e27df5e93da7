"""What the page says: nothing that looks like a comparison and is none."""

import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from ended_runs import end

from nevus.reproduce.grid import Grid
from nevus.reproduce.job import FAILED, REFUSED
from nevus.reproduce.page import html, markdown
from nevus.reproduce.published import published
from nevus.reproduce.tables import Block, Contents, document

MakeGrid = Callable[..., Grid]


def ended(grid: Grid) -> Grid:
    for job in grid.jobs:
        end(job)
    return grid


def lines(contents: Contents, name: str) -> list[list[str]]:
    block: Block = next(block for block in contents.blocks if block.title.text.startswith(f"{name}:"))
    return [[cell.text for cell in line] for line in block.lines]


def test_ours_published_and_difference_stand_under_their_protocol(make_grid: MakeGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = ended(make_grid("zoome", rows=["ZooME"]))
    monkeypatch.setattr("nevus.reproduce.tables.num_images", lambda paper: grid.num_images)
    (published_line, ours, difference, strict, strict_difference) = lines(document(grid), "Table I")
    assert published_line == ["ZooME", "published", "84.59 ± 2.94", "85.95 ± 2.81", "84.63 ± 3.03", "92.23 ± 1.69"]
    assert ours[1] == "ours, paper-zoome (optimistic)"
    assert all(re.fullmatch(r"\d+\.\d\d ± \d+\.\d\d \[\d+\.\d\d, \d+\.\d\d\]", cell) for cell in ours[2:])
    # Like with like: the mean over folds less the printed mean, without brackets.
    assert difference[1] == "difference, paper-zoome (optimistic)"
    evaluation = grid.jobs[0].evaluation()
    assert float(difference[-1]) == pytest.approx(100 * evaluation["metrics"]["auc"]["fold_mean"] - 92.23, abs=0.006)
    assert strict[1] == "ours, strict"
    assert strict_difference[1] == "difference, strict ≠ protocol"
    assert all(re.fullmatch(r"\([+-]\d+\.\d\d\)", cell) for cell in strict_difference[2:])


@pytest.mark.parametrize(
    ("words", "reasons"),
    [
        ({}, "images"),
        ({"budget_name": "cpu"}, "budget, images"),
        ({"settings": ["training.epochs=2"]}, "images, settings"),
        ({"settings": ["zoome:training.epochs=2"]}, "images, settings"),
        ({"settings": ["alexnet:training.epochs=2"]}, "images"),
        ({"protocols": ["paper-2022"]}, "protocol, images"),
    ],
)
def test_what_is_not_shared_is_named(make_grid: MakeGrid, words: dict[str, object], reasons: str) -> None:
    """Phantoms are fewer than the 33,126 images; a budget, a changed recipe and another protocol come on top."""
    found = lines(document(ended(make_grid("zoome", rows=["zoome"], **{"protocols": ["paper"], **words}))), "Table I")
    protocol = "paper-2022" if "protocols" in words else "paper-zoome"
    assert found[2][1] == f"difference, {protocol} (optimistic) ≠ {reasons}"


def test_folds_that_did_not_run_are_named(make_grid: MakeGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    import ended_runs

    grid = make_grid("zoome", rows=["zoome"], protocols=["paper"])
    whole = ended_runs.evaluation_of
    monkeypatch.setattr(ended_runs, "evaluation_of", lambda task, protocol: whole(task, protocol, folds_run="1 of 2"))
    assert lines(document(ended(grid)), "Table I")[2][1].endswith("≠ images, folds")


def test_a_smoke_run_prints_no_published_figure_and_none_of_its_own(make_grid: MakeGrid) -> None:
    contents = document(ended(make_grid("zoome", budget_name="smoke")))
    for page in (markdown(contents), html(contents)):
        assert page.count("SMOKE RUN") >= 2
        figures = {
            printed.removesuffix("%")
            for table in published("zoome")
            for row in table.rows.values()
            for printed, _ in row.values()
        }
        assert [text for text in figures if text in page] == []
    evaluation = make_grid("zoome", budget_name="smoke").jobs[0].evaluation()
    shown = f"{100 * evaluation['metrics']['auc']['value']:.2f}"
    assert shown not in markdown(contents)
    assert shown[:-1] not in markdown(contents)


def test_refused_and_failed_rows_say_why_and_only_failures_count(make_grid: MakeGrid) -> None:
    grid = make_grid("soft-attention", rows=["*:2?0]*"], protocols=["paper"])
    for job in grid.jobs:
        end(job, REFUSED, "a map of 1×1") if job.one_pixel else end(job)
    contents = document(grid)
    assert not contents.failed
    rows = {line[0]: line for line in lines(contents, "Table 9") if line[1].startswith("ours")}
    assert rows["MobileNetV3Large-Layer[:270] + Soft-Attention + Metadata"][2] == "refused"
    assert rows["MobileNetV3Large-Layer[:240] + Soft-Attention + Metadata"][2][0].isdigit()
    assert "a map of 1×1" in contents.notes
    end(next(job for job in grid.jobs if job.system.endswith("-240")), FAILED, "no memory")
    contents = document(grid)
    assert contents.failed
    assert "no memory" in contents.notes


def test_table_2_counts_the_networks_themselves(make_grid: MakeGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"size_mb": 97.695, "parameters": 25_610_152, "depth": 107}
    monkeypatch.setattr("nevus.reproduce.tables.backbone_sizes", lambda name: sizes)
    contents = document(make_grid("soft-attention", rows=["Table 2"]))
    assert lines(contents, "Table 2")[:3] == [
        ["Resnet50", "published", "98", "25.6M", "107"],
        ["Resnet50", "ours", "98", "25.61M", "107"],
        ["Resnet50", "difference", "+0", "+0.01M", "+0"],
    ]
    assert not contents.failed


def test_a_backbone_that_cannot_be_built_is_a_failed_row(make_grid: MakeGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> dict[str, float]:
        raise RuntimeError("no such thing")

    monkeypatch.setattr("nevus.reproduce.tables.backbone_sizes", broken)
    contents = document(make_grid("soft-attention", rows=["Table 2"]))
    assert contents.failed
    assert "resnet50: no such thing" in contents.notes


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name == "href" and value:
                self.targets.add(value.removeprefix("#"))
            if name == "id" and value:
                self.ids.append(value)


@pytest.mark.slow
@pytest.mark.parametrize("paper", ["zoome", "soft-attention"])
def test_every_footnote_is_there_and_is_used(make_grid: MakeGrid, monkeypatch: pytest.MonkeyPatch, paper: str) -> None:
    monkeypatch.setattr("nevus.reproduce.tables.backbone_sizes", lambda name: {"size_mb": 1.0, "parameters": 1e6, "depth": 1})
    grid = ended(make_grid(paper, protocols=["paper"]))
    contents = document(grid)
    for table in grid.tables:
        for note in table.notes:
            assert note.text in contents.notes, note
    text = markdown(contents)
    defined = set(re.findall(r"^\[\^(\d+)\]:", text, flags=re.MULTILINE))
    used = set(re.findall(r"\[\^(\d+)\](?!:)", text))
    assert defined == used == {str(number) for number in range(1, len(contents.notes) + 1)}
    links = Links()
    links.feed(html(contents))
    assert links.targets <= set(links.ids)
    assert len(links.ids) == len(set(links.ids))
    widths = {len(block.header) for block in contents.blocks for line in block.lines if len(line) != len(block.header)}
    assert not widths


def test_what_stands_in_a_reason_cannot_break_the_page(make_grid: MakeGrid) -> None:
    grid = make_grid("zoome", rows=["alexnet"], protocols=["paper"])
    end(grid.jobs[0], FAILED, "a | b\n<script>alert(1)</script>")
    contents = document(grid)
    assert "<script>" not in html(contents)
    # The note is one line, or Markdown would end it.
    assert "]: a | b &lt;script>alert(1)&lt;/script>\n" in markdown(contents)
