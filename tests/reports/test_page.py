"""The page as a browser, a screen reader and a reviewer take it."""

import itertools
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fabricated_run import SEVEN, TWO, fabricate

from nevus.errors import DataError
from nevus.evaluation.compare import compare
from nevus.evaluation.evaluate import evaluate
from nevus.files import write_json
from nevus.reports.material import leak
from nevus.reports.page import write_report
from nevus.reports.run import Run
from nevus.reports.side_by_side import adjacent, differences

VOID = {"img", "meta"}
LOADING = ("src", "href", "srcset", "poster", "data", "action")


class Page(HTMLParser):
    """Reads a page and keeps what the tests ask about; an unbalanced tag raises."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(self.source)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.text += data

    def having(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def values(self) -> list[float]:
        return [float(str(attributes["value"])) for attributes in self.having("data")]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    made = {
        "strict": fabricate(folder / "strict"),
        "paper": fabricate(folder / "paper", protocol="paper-zoome", skill=2.5),
        "two": fabricate(folder / "two", classes=TWO, name="two", num_images=120),
        "undecided": fabricate(folder / "undecided", classes=TWO, name="undecided", num_images=120, validation=False),
    }
    made["2022"] = fabricate(folder / "2022", protocol="paper-2022", num_folds=5, name="soft")
    shutil.rmtree(made["undecided"] / "data")
    return made


@pytest.fixture(scope="module")
def report(runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Page]:
    pages: dict[tuple[str, ...], Page] = {}

    def read(*names: str) -> Page:
        if names not in pages:
            out = tmp_path_factory.mktemp("report") / "report.html"
            assert write_report([runs[name] for name in names], out) == out
            pages[names] = Page(out)
        return pages[names]

    return read


def _evaluation(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "evaluation.json").read_text()))


ALL = ("strict", "paper", "two", "undecided", "2022")


@pytest.mark.slow
def test_ids_are_unique_and_every_link_and_label_has_its_target(report: Callable[..., Page]) -> None:
    page = report(*ALL)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [str(attributes["href"]) for attributes in page.having("a") + page.having("use")]
    wanted = {link.removeprefix("#") for link in links if not link.startswith("https://")}
    wanted |= {str(attributes["aria-labelledby"]) for _, attributes in page.elements if "aria-labelledby" in attributes}
    wanted |= set(re.findall(r"url\(#([^)]+)\)", page.source))
    assert wanted <= set(ids)


@pytest.mark.slow
def test_nothing_is_loaded_and_nothing_runs(report: Callable[..., Page]) -> None:
    page = report(*ALL)
    elements = [attributes for tag, attributes in page.elements if tag != "a"]
    loaded = [str(value) for attributes in elements for name, value in attributes.items() if name in LOADING]
    # A link is followed by the reader alone.
    assert all(re.match(r"#|https://(www\.tripod-statement|pubs\.rsna)\.org/", str(link["href"])) for link in page.having("a"))
    assert loaded
    assert all(value.startswith(("#", "data:image/jpeg;base64,")) for value in loaded)
    assert not re.search(r"url\((?!#)|@import", page.source)
    assert not {"script", "link", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.elements}
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


@pytest.mark.slow
def test_pictures_have_words_and_tables_have_captions_and_headings_descend_by_one(report: Callable[..., Page]) -> None:
    page = report(*ALL)
    assert all(attributes["alt"] for attributes in page.having("img"))
    assert all(attributes["aria-label"] and attributes["role"] == "img" for attributes in page.having("svg"))
    assert len(page.having("caption")) == len(page.having("table"))
    assert all("scope" in attributes for attributes in page.having("th"))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    for landmark in ("main", "header", "nav"):
        assert len(page.having(landmark)) == 1
    assert page.having("html")[0]["lang"] == "en"


@pytest.mark.slow
def test_every_figure_of_the_evaluation_is_on_the_page(runs: dict[str, Path], report: Callable[..., Page]) -> None:
    document, shown = _evaluation(runs["strict"]), set(report("strict").values())
    figures = [figure for part in (document["metrics"], *document["per_class"].values()) for figure in part.values()]
    expected = {figure[name] for figure in figures for name in ("value", "low", "high") if figure[name] is not None}
    expected |= {value for fold in document["per_fold"] for value in fold["metrics"].values() if value is not None}
    assert len(expected) > 50
    assert expected <= shown


@pytest.mark.slow
def test_numbers_are_printed_to_three_decimals_of_the_value_behind_them(report: Callable[..., Page]) -> None:
    printed = re.findall(r'<data value="([^"]+)">([^<]+)</data>', report("strict").source)
    assert printed
    assert all(f"{float(value):.3f}" == shown for value, shown in printed)


@pytest.mark.slow
def test_the_confusion_matrix_is_the_evaluations(runs: dict[str, Path], report: Callable[..., Page]) -> None:
    matrix = _evaluation(runs["strict"])["confusion"]["matrix"]
    counts = re.findall(r'<td class="(?:right|wrong)"[^>]*>([\d,]+) ', report("strict").source)
    assert [int(count.replace(",", "")) for count in counts] == [count for row in matrix for count in row]


@pytest.mark.slow
def test_optimistic_is_said_of_the_papers_protocols_and_of_no_other(report: Callable[..., Page]) -> None:
    headings = re.findall(r"<h2 id=\"run-\d\">.*?</h2>", report(*ALL).source)
    said = {heading: 'class="badge">optimistic<' in heading for heading in headings}
    assert len(said) == len(ALL)
    assert all(badge == (">paper-" in heading) for heading, badge in said.items())
    assert sum(said.values()) == 2
    assert "optimistic" not in report("strict").text.lower()


@pytest.mark.slow
def test_the_notice_stands_once(report: Callable[..., Page]) -> None:
    assert report(*ALL).text.count("Not for diagnosis") == 1


@pytest.mark.slow
def test_strict_folds_share_no_group_and_image_level_folds_show_their_leak(report: Callable[..., Page]) -> None:
    assert "no group lies in two folds" in report("strict").text
    assert re.search(r"Checked now: \d+ groups of \d+ lie in two or more folds. \d+ of 300 test images", report(*ALL).text)
    assert re.search(r"lie in two or more folds. \d+ of 60 test images", report(*ALL).text)
    assert report(*ALL).text.count("only trains") == 1


def test_the_leak_is_counted_by_hand() -> None:
    rows = [("a", 0), ("a", 1), ("b", 0), ("b", 0), ("c", 1), ("c", -1), ("d", -1)]
    words = leak(pd.DataFrame(rows, columns=["group_id", "fold"]))
    # Groups a and c cross; of the five tested images, a's two and c's one have a sibling elsewhere.
    assert words.startswith("Checked now: 2 groups of 4 lie in two or more folds. 3 of 5 test images (60%)")
    assert "cannot be checked" in leak(pd.DataFrame({"fold": [0, 1]}))
    assert "cannot be checked" in leak(pd.DataFrame({"fold": [0, 1], "group_id": ["a", ""]}))


@pytest.mark.slow
def test_the_gap_of_one_recipe_under_two_protocols_is_a_sentence(runs: dict[str, Path], report: Callable[..., Page]) -> None:
    page = report(*ALL)
    ours, theirs = (_evaluation(runs[name])["metrics"]["macro_auc"]["value"] for name in ("strict", "paper"))
    assert re.search(rf"macro AUC {theirs:.3f} \[[^]]*\], under strict {ours:.3f} \[", page.text)
    assert f"the protocol alone is worth {theirs - ours:+.3f} [" in page.text
    # "soft" has another name but the same data, network and training; "two" asks another question of other images.
    assert page.text.count("only the protocol differs") == 2


@pytest.mark.slow
def test_runs_of_one_experiment_stand_side_by_side_the_strict_one_first_whatever_their_order(runs: dict[str, Path]) -> None:
    read = [Run.read(runs[name], name) for name in ("paper", "two", "strict")]
    assert [run.anchor for run in adjacent(read)] == ["strict", "paper", "two"]


@pytest.mark.slow
def test_later_runs_are_compared_with_the_first_image_by_image_or_it_is_said_why_not(runs: dict[str, Path]) -> None:
    read = [Run.read(runs[name], name) for name in ("strict", "paper", "two")]
    said = str(differences(read))
    expected = compare(read[0].predictions, read[1].predictions, num_resamples=1000)["differences"]["macro_auc"]
    assert f"{expected['value']:+.3f}" in said
    assert f"{expected['low']:+.3f} to {expected['high']:+.3f}" in said
    assert "The protocols differ" in said
    assert "two, strict is not compared with" in said


@pytest.mark.slow
def test_undefined_figures_are_dashes_with_their_reason(runs: dict[str, Path], report: Callable[..., Page]) -> None:
    page, reason = report(*ALL), _evaluation(runs["undecided"])["operating_point"]["reason"]
    dashes = [attributes for attributes in page.having("span") if attributes.get("class") == "undefined"]
    assert reason
    assert dashes
    assert any(reason in str(attributes["title"]) for attributes in dashes)
    assert "Nothing was decided, so nothing was mistaken" in page.text
    # Said of "two" alone: "undecided" flags nothing.
    assert page.text.count("Of 100 images that show a malignant lesion") == 1


@pytest.mark.slow
def test_missing_images_and_manifest_are_said_and_do_not_stop_the_report(runs: dict[str, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["two"], run)
    shutil.rmtree(run / "fold-1")
    evaluation = _evaluation(run)
    evaluation["provenance"]["manifest"] = str(run / "data" / "manifest.csv")
    write_json(run / "evaluation.json", evaluation)
    shutil.rmtree(run / "data" / "images")
    page = Page(write_report([run], tmp_path / "without-images.html"))
    assert page.text.count("photograph not available") >= 8 + 6
    assert not page.having("img")
    (run / "folds.csv").unlink()
    shutil.rmtree(run / "data")
    missing = Run.read(run).missing
    assert len(missing) == 2
    assert "is not there any more" in missing[0]
    assert "no folds.csv" in missing[1]


@pytest.mark.slow
def test_a_manifest_that_changed_since_the_run_is_not_used(runs: dict[str, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["strict"], run)
    evaluation = _evaluation(run)
    assert Run.read(run).root is not None
    evaluation["provenance"]["manifest_sha256"] = "0" * 64
    write_json(run / "evaluation.json", evaluation)
    changed = Run.read(run)
    assert changed.root is None
    assert "has changed since the run" in changed.missing[0]


@pytest.mark.slow
def test_what_data_say_is_text_and_never_markup(tmp_path: Path) -> None:
    attack = "<script>alert(1)</script>"
    run = fabricate(tmp_path / "run", classes=TWO, num_images=40, num_folds=2, first_id=attack)
    evaluation = _evaluation(run)
    evaluation["provenance"]["recipe"]["name"] = attack
    evaluation["provenance"]["recipe"]["data"]["note"] = '"</pre>' + attack
    evaluation["provenance"]["hardware"] = attack
    evaluation["notes"].append(attack)
    write_json(run / "evaluation.json", evaluation)
    page = Page(write_report([run, run], tmp_path / "report.html", title=attack))
    assert not page.having("script")
    assert "<script" not in page.source
    assert attack in page.text
    assert len([attributes for attributes in page.having("img") if attack in str(attributes["alt"])]) > 0


@pytest.mark.slow
def test_the_surest_mistakes_are_shown_missed_melanoma_first(runs: dict[str, Path], report: Callable[..., Page]) -> None:
    frame = pd.read_csv(runs["strict"] / "predictions.csv").query("split == 'test'")
    probabilities = frame[[f"p_{name}" for name in SEVEN]]
    decision = np.array(SEVEN)[probabilities.to_numpy().argmax(axis=1)]
    frame["top"] = probabilities.max(axis=1)
    wrong = frame[decision != frame["target"]].sort_values("top", ascending=False)
    missed, others = wrong[wrong["target"] == "mel"].head(6), wrong[wrong["target"] != "mel"].head(6)
    shown = re.findall(r'<span class="id">([^<]+)</span>', report("strict").source)
    assert shown == [*missed["image_id"], *others["image_id"]]


@pytest.mark.slow
def test_a_binary_miss_lies_below_its_own_folds_threshold(runs: dict[str, Path], report: Callable[..., Page]) -> None:
    matrix, source = _evaluation(runs["two"])["confusion"]["matrix"], report("two").source
    assert f"Missed malignant lesion: {matrix[1][0]:,} of {sum(matrix[1])} images" in source
    assert f"Other wrong answers: {matrix[0][1]:,} of 120 images" in source


@pytest.mark.slow
def test_the_page_is_small_and_the_same_each_time(runs: dict[str, Path], report: Callable[..., Page], tmp_path: Path) -> None:
    assert len(report(*ALL).source.encode()) < 5_000_000
    again = write_report([runs["two"]], tmp_path / "again.html").read_text(encoding="utf-8")
    assert again == report("two").source


@pytest.mark.slow
def test_photographs_beyond_the_pages_size_are_left_out_and_counted(
    runs: dict[str, Path], report: Callable[..., Page], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = report("strict")
    monkeypatch.setattr("nevus.reports.page.MAX_BYTES", len(whole.source.encode()) - 30_000)
    page = Page(write_report([runs["strict"]], tmp_path / "small.html"))
    assert len(page.source.encode()) < len(whole.source.encode()) - 15_000
    num_left_out = len(whole.having("img")) - len(page.having("img"))
    assert num_left_out > 0
    assert f"{num_left_out} of {len(whole.having('img'))} photographs are left out" in page.text


@pytest.mark.slow
def test_photographs_of_a_manifest_shared_by_two_runs_are_shown_once(runs: dict[str, Path], report: Callable[..., Page]) -> None:
    assert report(*ALL).text.count("Four photographs a class") == 2
    assert report(*ALL).text.count("are shown with the run above") == 3


def test_bare_predictions_of_another_program_make_a_page_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(3), 60)
    table = pd.DataFrame(probabilities, columns=["p_a", "p_b", "p_$c"]).assign(image_id=range(60), target=["a", "b", "$c"] * 20)
    table.to_csv(tmp_path / "predictions.csv", index=False)
    write_json(tmp_path / "evaluation.json", evaluate(tmp_path / "predictions.csv", num_resamples=20))
    page = Page(write_report([tmp_path], tmp_path))
    assert (tmp_path / "report.html").exists()
    for words in (
        "Unknown protocol.",
        "Whether the system was fitted to the images counted here is not recorded: 60 images",
        "cannot be checked",
        "does not record its manifest",
        "Nothing was recorded",
        "no training log",
    ):
        assert words in page.text
    assert "ROC, each class against the rest" in page.text
    assert "optimistic" not in page.text.lower()


def test_a_folder_that_is_no_run_and_no_run_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"evaluation\.json: cannot be read"):
        write_report([tmp_path], tmp_path / "report.html")
    (tmp_path / "evaluation.json").write_text("{")
    with pytest.raises(DataError, match=r"evaluation\.json: not a JSON document"):
        write_report([tmp_path], tmp_path / "report.html")
    with pytest.raises(DataError, match="Give at least one run folder"):
        write_report([], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


@pytest.mark.slow
def test_an_evaluation_of_other_answers_is_refused_with_the_remedy(runs: dict[str, Path], tmp_path: Path) -> None:
    run, evaluation = tmp_path / "run", _evaluation(runs["two"])
    shutil.copytree(runs["two"], run)
    for name, value in (("num_images", 119), ("classes", ["malignant", "benign"]), ("protocol", "paper-zoome")):
        write_json(run / "evaluation.json", {**evaluation, name: value})
        with pytest.raises(DataError, match=r"evaluation\.json says .* predictions\.csv .* Evaluate again: nevus evaluate"):
            Run.read(run)
    write_json(run / "evaluation.json", {"metrics": {}})
    with pytest.raises(DataError, match=r"no evaluation, it has no protocol, .*, provenance\. nevus evaluate writes one"):
        Run.read(run)


@pytest.mark.slow
def test_a_resumed_log_counts_each_epoch_once_and_a_cut_line_ends_it(runs: dict[str, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["two"], run)
    log = run / "fold-0" / "log.jsonl"
    first = json.loads(log.read_text().splitlines()[2])
    log.write_text(log.read_text() + json.dumps({**first, "train_loss": 9.0}) + '\n{"kind": "epo')
    epochs = Run.read(run).epochs[0]
    assert sorted(epochs["epoch"]) == list(range(1, 9))
    assert epochs.loc[epochs["epoch"] == first["epoch"], "train_loss"].tolist() == [9.0]
