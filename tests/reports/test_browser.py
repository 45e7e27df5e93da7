"""The page in a real browser: nothing is loaded, light, dark, on a phone, by keyboard, on paper."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fabricated_run import TWO, fabricate

from nevus.reports.page import write_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
CHECKS = (Path(__file__).parent / "browser_checks.js").read_text(encoding="utf-8")
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium here: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright here: make test-slow installs it")
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=BROWSER)
        yield running
        running.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page about one run of seven classes, and one that compares two runs."""
    folder = tmp_path_factory.mktemp("browsed")
    seven = fabricate(folder / "seven")
    two = [
        fabricate(folder / "a", classes=TWO, name="a", num_images=150),
        fabricate(folder / "b", classes=TWO, name="b", num_images=150, protocol="paper-zoome", skill=2.5),
    ]
    return {"one": write_report([seven], folder / "one.html"), "several": write_report(two, folder / "several.html")}


class Opened:
    """A page in a window of its own, and what went wrong or was asked of a network while it was open."""

    def __init__(self, browser: Any, path: Path, *, viewport: dict[str, int] = DESKTOP, scheme: str = "light") -> None:
        self.faults: list[str] = []
        context = browser.new_context(viewport=viewport, color_scheme=scheme)
        context.route("**/*", self._answer)
        self.page = context.new_page()
        self.page.on("console", lambda message: self.faults.append(f"console: {message.text}"))
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.goto(path.as_uri())
        self.page.evaluate(CHECKS)
        self.counts = self.page.evaluate("checks.counts()")

    def _answer(self, route: Any) -> None:
        if route.request.url.startswith(("file:", "data:")):
            route.continue_()
        else:
            self.faults.append(f"asked for {route.request.url}")
            route.abort()

    def unfold(self) -> "Opened":
        self.page.evaluate("document.querySelectorAll('details').forEach((e) => { e.open = true })")
        return self

    def check(self, name: str) -> list[str]:
        return list(self.page.evaluate(f"checks.{name}()"))


@pytest.fixture(params=["one", "several"])
def path(request: pytest.FixtureRequest, pages: dict[str, Path]) -> Path:
    return pages[request.param]


def test_nothing_is_asked_of_a_network_and_nothing_is_complained_of(browser: Any, path: Path) -> None:
    opened = Opened(browser, path).unfold()
    opened.page.evaluate("document.querySelectorAll('img').forEach((e) => e.scrollIntoView())")
    opened.page.wait_for_load_state("networkidle")
    assert opened.faults == []
    assert opened.page.evaluate("[...document.images].every((e) => e.complete && e.naturalWidth > 0)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out_from_its_ground(browser: Any, path: Path, scheme: str) -> None:
    opened = Opened(browser, path, scheme=scheme).unfold()
    assert opened.check("contrast") == []
    ground = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", ground)[:3]))
    assert (brightness > 600) if scheme == "light" else (brightness < 150)


def test_the_check_of_contrast_finds_pale_text(browser: Any, path: Path) -> None:
    opened = Opened(browser, path)
    opened.page.evaluate("document.querySelector('h1').style.color = '#bbb'")
    assert [fault[:4] for fault in opened.check("contrast")] == ["1.87"]


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_only_tables_scroll_sideways_and_the_keyboard_reaches_them(browser: Any, path: Path, viewport: dict[str, int]) -> None:
    opened = Opened(browser, path, viewport=viewport).unfold()
    assert opened.counts["scrolls"] > 5
    assert opened.check("overflow") == []
    assert opened.check("unreachable") == []


def test_a_screen_reader_finds_its_way(browser: Any, path: Path) -> None:
    opened = Opened(browser, path).unfold()
    assert opened.counts["headings"] > 5
    assert opened.counts["pictures"] > 5
    assert opened.check("skipped") == []
    assert opened.check("nameless") == []
    landmarks = "['header', 'nav[aria-label]', 'main', 'h1'].map((e) => document.querySelectorAll(`body ${e}`).length)"
    assert opened.page.evaluate(landmarks) == [1, 1, 1, 1]
    assert opened.page.evaluate("document.documentElement.lang") == "en"


def test_tab_reaches_the_skip_link_first_and_it_leads_to_the_figures(browser: Any, path: Path) -> None:
    page = Opened(browser, path).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    box = page.locator(".skip").bounding_box()
    assert box["x"] >= 0
    assert box["width"] > 20
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_paper_shows_what_is_folded_and_takes_several_pages(browser: Any, path: Path) -> None:
    opened = Opened(browser, path, scheme="dark")
    assert opened.counts["folds"] > 0
    assert opened.check("folded")  # on the screen they are folded
    opened.page.emulate_media(media="print", color_scheme="dark")
    assert opened.check("folded") == []
    assert opened.check("contrast") == []
    assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert opened.page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    pdf = opened.page.pdf(format="A4", tagged=True, outline=True)
    assert pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) > 3
