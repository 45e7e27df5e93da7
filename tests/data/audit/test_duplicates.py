import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from edits import EDITS, turned

from nevus.data.audit import near_duplicate_links
from nevus.data.audit.alignment import align, square
from nevus.data.audit.duplicates import find_duplicates
from nevus.data.audit.looks import look
from nevus.data.images import Pixels, read_image
from nevus.data.manifest import Manifest
from nevus.data.phantom import paint

TRUE_PAIRS = {
    "exact": [("ISIC_0029861", "ISIC_0024366"), ("ISIC_0029938", "ISIC_0024777")],
    "near": [("ISIC_0025226", "ISIC_0030074")],
}


def save(path: Path, image: Pixels) -> Path:
    cv2.imwrite(str(path), image[:, :, ::-1])
    return path


def linked(paths: list[Path]) -> set[tuple[int, int]]:
    return set(find_duplicates(paths, look(paths)).links)


@pytest.fixture(scope="module")
def originals() -> list[Pixels]:
    return [paint(name, seed, 0, (150, 200)) for seed, name in enumerate(["mel", "nv", "bkl", "bcc", "df", "vasc"] * 2)]


@pytest.mark.slow
@pytest.mark.parametrize("name", list(EDITS))
def test_an_edited_copy_is_found_and_no_other_pair(originals: list[Pixels], name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = [save(tmp_path / f"{number}.bmp", image) for number, image in enumerate(originals)]
    paths += [save(tmp_path / f"copy-{number}.bmp", EDITS[name](image, rng)) for number, image in enumerate(originals)]
    expected = {(number, number + len(originals)) for number in range(len(originals))}
    found = linked(paths)
    assert found <= expected
    assert len(found) >= len(expected)


@pytest.mark.slow
def test_another_photograph_of_the_same_lesion_is_no_copy(tmp_path: Path) -> None:
    paths = [
        save(tmp_path / f"{seed}-{photo}.bmp", paint("nv", seed, photo, (150, 200))) for seed in range(12) for photo in range(3)
    ]
    assert linked(paths) == set()


def test_equal_bytes_and_equal_pixels(originals: list[Pixels], tmp_path: Path) -> None:
    first = save(tmp_path / "a.bmp", originals[0])
    shutil.copy(first, tmp_path / "b.bmp")
    other = save(tmp_path / "c.png", originals[0])
    duplicates = find_duplicates(paths := [first, tmp_path / "b.bmp", other], look(paths))
    assert duplicates.exact == [(0, 1)]
    assert [(pair.first, pair.second, pair.same_pixels) for pair in duplicates.near] == [(0, 2, True)]


def test_many_equal_files_are_not_paired_each_with_each(originals: list[Pixels], tmp_path: Path) -> None:
    first = save(tmp_path / "0.bmp", originals[1])
    paths = [first] + [Path(shutil.copy(first, tmp_path / f"{number}.bmp")) for number in range(1, 60)]
    assert find_duplicates(paths, look(paths)).exact == [(0, number) for number in range(1, 60)]


def test_a_bad_file_is_named_and_the_rest_is_compared(originals: list[Pixels], tmp_path: Path) -> None:
    paths = [save(tmp_path / "a.bmp", originals[0]), tmp_path / "bad.jpg", save(tmp_path / "b.bmp", turned(originals[0], 3))]
    paths[1].write_bytes(b"\xff\xd8 not an image")
    looks = look(paths)
    assert list(looks.problems) == [1]
    assert "bad.jpg" in looks.problems[1]
    assert find_duplicates(paths, looks).links == [(0, 2)]


def test_a_plain_image_is_like_nothing_else(originals: list[Pixels]) -> None:
    flat = np.full((64, 64, 3), 128, np.uint8)
    assert not align(square(flat), square(originals[0]), 0).same_photograph
    assert not align(square(flat), square(flat + np.uint8(1)), 0).same_photograph


def test_links_are_ids_and_join_groups(originals: list[Pixels], tmp_path: Path) -> None:
    save(tmp_path / "a.bmp", originals[0])
    save(tmp_path / "b.bmp", turned(originals[0], 1))
    save(tmp_path / "c.bmp", originals[1])
    (tmp_path / "m.csv").write_text("image_id,path,lesion_id\na,a.bmp,L1\nb,b.bmp,L2\nc,c.bmp,L3\n")
    manifest = Manifest.read(tmp_path / "m.csv")
    links = near_duplicate_links(manifest)
    assert links == [("a", "b")]
    table = manifest.frame.astype(object).where(manifest.frame.notna(), "").astype(str).assign(group_id="")
    joined = Manifest.build(table, tmp_path, tmp_path / "m.csv", links=links)
    assert joined.frame["group_id"].nunique() == 2


@pytest.mark.slow
def test_the_known_duplicates_of_the_real_sets(real_data: Path) -> None:
    folder = real_data / "ham10000" / "images"
    named = [name for pairs in TRUE_PAIRS.values() for pair in pairs for name in pair]
    others = sorted(path.stem for path in folder.glob("*.jpg"))[::8]
    paths = [folder / f"{name}.jpg" for name in dict.fromkeys(named + others)]
    duplicates = find_duplicates(paths, look(paths))
    near = {frozenset((paths[pair.first].stem, paths[pair.second].stem)) for pair in duplicates.near}
    exact = {frozenset((paths[first].stem, paths[second].stem)) for first, second in duplicates.exact}
    assert {frozenset(pair) for pair in TRUE_PAIRS["exact"]} <= exact
    assert {frozenset(pair) for pair in TRUE_PAIRS["near"]} <= near
    lesions = dict(line.split(",")[1::-1] for line in (real_data / "ham10000" / "HAM10000_metadata.csv").read_text().splitlines())
    across = {pair for pair in near if len({lesions[name] for name in pair}) > 1}
    assert across == {frozenset(pair) for pair in TRUE_PAIRS["near"]}


@pytest.mark.slow
def test_the_three_duplicates_of_the_isic_2020_subset(real_data: Path) -> None:
    folder = real_data / "isic2020"
    paths = sorted((folder / "images").glob("*.jpg"))
    lesion_of = dict(line.split(",")[:2] for line in (folder / "lesions.csv").read_text().splitlines())
    seen: dict[str, list[str]] = {}
    for path in paths:
        seen.setdefault(lesion_of[path.stem], []).append(path.stem)
    expected = {frozenset(names) for names in seen.values() if len(names) > 1}
    assert len(expected) == 3
    assert {frozenset((paths[first].stem, paths[second].stem)) for first, second in linked(paths)} == expected


@pytest.mark.slow
def test_recall_on_edits_of_real_images(real_data: Path, tmp_path: Path) -> None:
    images = [read_image(path) for path in sorted((real_data / "ham10000" / "images").glob("*.jpg"))[::100]]
    rng = np.random.default_rng(0)
    for name, edit in EDITS.items():
        paths = [save(tmp_path / f"{number}.bmp", image) for number, image in enumerate(images)]
        paths += [save(tmp_path / f"copy-{number}.bmp", edit(image, rng)) for number, image in enumerate(images)]
        found = linked(paths)
        assert len({(number, number + len(images)) for number in range(len(images))} & found) >= 0.95 * len(images), name


def bubble(image: Pixels, x: int, y: int) -> Pixels:
    return cv2.circle(image.copy(), (x, y), 7, (250, 250, 250), 2).astype(np.uint8)


def test_a_bubble_that_moved_or_a_camera_that_turned_is_another_photograph(originals: list[Pixels]) -> None:
    image = originals[0]
    first, second = bubble(image, 40, 40), bubble(image, 150, 110)
    assert align(square(first), square(first), 0).same_photograph
    assert not align(square(first), square(second), 0).same_photograph
    # A speck changes the correlation little among strong details: there its grey levels tell.
    rough = np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)
    strong = cv2.resize(rough, (200, 150), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    spotted = cv2.circle(strong.copy(), (100, 75), 3, (0, 0, 0), -1).astype(np.uint8)
    speck = align(square(strong), square(spotted), 0)
    assert speck.peak > 12
    assert speck.correlation > 0.99
    assert not speck.same_photograph
    angle = np.array([[1, 0.06, -4], [-0.06, 1, 4]], np.float32)
    seen = cv2.warpAffine(image, angle, (200, 150), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT).astype(np.uint8)
    found = align(square(image), square(seen), 0)
    assert found.correlation > 0.97
    assert not found.same_photograph


def test_a_copy_cropped_on_two_sides_only_keeps_its_pixels(originals: list[Pixels]) -> None:
    image = originals[2]
    narrower = np.ascontiguousarray(image[:, 4:196])
    assert align(square(image), square(narrower), 0, aspect=(200 / 150) / (192 / 150)).same_photograph
    assert not align(square(image), square(narrower), 0).same_photograph
