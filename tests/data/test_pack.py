import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from nevus.data.images import read_image, shrink
from nevus.data.pack import cache_folder, pack_images
from nevus.errors import DataError


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for number, path in enumerate(paths):
        cv2.imwrite(str(path), rng.integers(0, 256, (40 + 7 * number, 60, 3), dtype=np.uint8))
    return paths


def test_a_pack_holds_what_reading_and_shrinking_gives(images: list[Path], tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    pack = pack_images(images, 32, tmp_path / "packs", lambda done, of: calls.append((done, of)))
    assert len(pack) == 5
    assert calls[-1] == (5, 5)
    for number, path in enumerate(images):
        assert (pack.image(number) == shrink(read_image(path), 32)).all()


def test_a_second_opening_decodes_nothing(images: list[Path], tmp_path: Path) -> None:
    first = pack_images(images, 32, tmp_path / "packs")
    calls: list[tuple[int, int]] = []
    assert pack_images(images, 32, tmp_path / "packs", lambda done, of: calls.append((done, of))).path == first.path
    assert not calls


def test_other_images_another_order_or_another_side_are_another_pack(images: list[Path], tmp_path: Path) -> None:
    paths = {pack_images(images, side, tmp_path / "packs").path for side in (32, 24)}
    paths.add(pack_images(images[::-1], 32, tmp_path / "packs").path)
    cv2.imwrite(str(images[0]), np.zeros((50, 50, 3), np.uint8))
    os.utime(images[0], ns=(1, 1))
    paths.add(pack_images(images, 32, tmp_path / "packs").path)
    assert len(paths) == 4


@pytest.mark.parametrize("damage", ["cut", "bit", "magic", "empty", "index"])
def test_a_damaged_pack_is_made_anew(images: list[Path], tmp_path: Path, damage: str) -> None:
    path = pack_images(images, 32, tmp_path / "packs").path
    whole = path.read_bytes()
    broken = {
        "cut": whole[: len(whole) // 2],
        "bit": bytes([whole[0] ^ 1]) + whole[1:],
        "magic": whole[:-2],
        "empty": b"",
        "index": whole.replace(b'"shapes"', b'"shapos'),
    }[damage]
    path.write_bytes(broken)
    pack = pack_images(images, 32, tmp_path / "packs")
    assert path.read_bytes() == whole
    assert (pack.image(4) == shrink(read_image(images[4]), 32)).all()


def test_a_pack_cut_short_while_it_is_in_use_is_an_error_that_names_it(images: list[Path], tmp_path: Path) -> None:
    pack = pack_images(images, 32, tmp_path / "packs")
    os.truncate(pack.path, 100)
    with pytest.raises(DataError, match=rf"{pack.path}: the pack was cut short while it was in use\. Run it again"):
        pack.image(4)


def test_a_pack_gives_its_file_back(images: list[Path], tmp_path: Path) -> None:
    pack_images(images, 32, tmp_path / "packs")
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(5):
        pack_images(images, 32, tmp_path / "packs").image(0)
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_all_bad_images_are_named_and_the_pack_is_complete_without_them(images: list[Path], tmp_path: Path) -> None:
    images[1].write_bytes(b"")
    images[3].write_bytes(images[2].read_bytes()[:300])
    message = r"(?s)2 of 5 images cannot be read.*1\.png: the file is empty.*3\.png: the image is.*data\.unreadable=skip"
    with pytest.raises(DataError, match=message):
        pack_images(images, 32, tmp_path / "packs")
    calls: list[tuple[int, int]] = []
    pack = pack_images(images, 32, tmp_path / "packs", lambda done, of: calls.append((done, of)), unreadable="skip")
    assert not calls, "the refusal had packed what can be read"
    assert sorted(pack.problems) == [1, 3]
    assert (pack.image(4) == shrink(read_image(images[4]), 32)).all()
    assert pack.image(1).shape == (0, 0, 3)


def test_some_rows_of_a_pack_are_a_pack_in_their_order(images: list[Path], tmp_path: Path) -> None:
    images[1].write_bytes(b"")
    pack = pack_images(images, 32, tmp_path / "packs", unreadable="skip").rows(np.array([4, 1]))
    assert len(pack) == 2
    assert (pack.image(0) == shrink(read_image(images[4]), 32)).all()
    assert list(pack.problems) == [1]


def test_an_image_that_can_be_read_again_is_not_kept_out_for_ever(images: list[Path], tmp_path: Path) -> None:
    """As when its permissions were mended: neither its size nor its time has changed."""
    content, stat = images[2].read_bytes(), images[2].stat()
    images[2].write_bytes(bytes(len(content)))
    os.utime(images[2], ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert list(pack_images(images, 32, tmp_path / "packs", unreadable="skip").problems) == [2]
    images[2].write_bytes(content)
    os.utime(images[2], ns=(stat.st_atime_ns, stat.st_mtime_ns))
    said: list[str] = []
    pack = pack_images(images, 32, tmp_path / "packs", say=said.append)
    assert not pack.problems
    assert "can be read now" in said[0]
    assert (pack.image(2) == shrink(read_image(images[2]), 32)).all()


def test_missing_images_are_named(images: list[Path], tmp_path: Path) -> None:
    images[0].unlink()
    with pytest.raises(DataError, match=r"(?s)1 images are missing.*0\.png"):
        pack_images(images, 32, tmp_path / "packs")


def test_the_cache_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEVUS_CACHE", "/elsewhere")
    assert cache_folder() == Path("/elsewhere")
    monkeypatch.delenv("NEVUS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert cache_folder() == Path("/cache/nevus")
