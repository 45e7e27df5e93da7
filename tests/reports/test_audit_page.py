import itertools
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from test_page import LOADING, Page

from nevus.data.audit import audit
from nevus.data.manifest import Manifest
from nevus.data.splits import split
from nevus.reports.audit_page import NUM_PAIRS, write_audit_page


@pytest.fixture(scope="module")
def audited(phantoms: Manifest, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Manifest]:
    folder = tmp_path_factory.mktemp("audited")
    shutil.copytree(phantoms.root / "images", folder / "images")
    rows = phantoms.frame.astype(object).where(phantoms.frame.notna(), "").astype(str)
    copies = rows.head(NUM_PAIRS + 5).copy()
    copies["image_id"] = "<copy> " + copies["image_id"]
    copies["path"] = [f"copy-{number}.jpg" for number in range(len(copies))]
    for source, copy in zip(rows["path"], copies["path"], strict=False):
        shutil.copy(folder / source, folder / copy)
    table = pd.concat([rows, copies], ignore_index=True).assign(group_id="")
    manifest = Manifest.build(table, folder, folder / "m.csv").write(folder / "m.csv")
    split(manifest, task="malignant", protocol="paper-zoome", num_folds=3).write(folder / "folds.csv")
    return audit([manifest], folds=folder / "folds.csv"), manifest


@pytest.fixture(scope="module")
def page(audited: tuple[dict[str, Any], Manifest], tmp_path_factory: pytest.TempPathFactory) -> Page:
    out = tmp_path_factory.mktemp("page")
    return Page(write_audit_page(audited[0], [audited[1]], out))


def test_the_summary_says_what_crosses_and_what_to_do(page: Page, audited: tuple[dict[str, Any], Manifest]) -> None:
    number = len(audited[0]["crossing"]["duplicates"])
    assert number > 1
    assert f"These folds leak: {number:,} duplicates" in page.text
    assert "nevus split --protocol strict" in page.text


def test_pairs_are_pictures_and_their_number_is_capped(page: Page) -> None:
    pictures = [attributes for attributes in page.having("img") if str(attributes["alt"]).startswith("Image ")]
    assert len(pictures) == 2 * NUM_PAIRS
    assert page.text.count("equal bytes") >= NUM_PAIRS
    assert "5 of 5 further pairs" in page.text
    assert len(page.source) < 5_000_000


def test_the_page_is_self_contained_and_sound(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {str(attributes["href"]).removeprefix("#") for attributes in page.having("a")} <= set(ids)
    loaded = [str(value) for _, attributes in page.elements for name, value in attributes.items() if name in LOADING]
    assert all(value.startswith(("#", "data:image/jpeg;base64,")) for value in loaded)
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.elements}
    assert all(attributes["alt"] for attributes in page.having("img"))
    assert len(page.having("caption")) == len(page.having("table"))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert "<copy>" not in page.source


def test_nothing_found_is_said_and_a_lost_picture_is_a_frame(phantoms: Manifest, tmp_path: Path) -> None:
    document = audit([phantoms])
    text = Page(write_audit_page(document, [phantoms], tmp_path / "a.html")).text
    assert "No two images are copies" in text
    assert "add --folds" in text
    gone = Manifest(phantoms.frame, tmp_path, tmp_path / "m.csv")
    first, second = phantoms.frame["image_id"][:2]
    lost = {**document, "near_duplicates": [[first, second, 0.99]]}
    assert "photograph not available" in Page(write_audit_page(lost, [gone], tmp_path / "b.html")).text
