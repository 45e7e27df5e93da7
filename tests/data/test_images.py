"""Every kind of file a user might hand in: read as the pixels meant, or refused in words."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nevus.data.images import MAX_PIXELS, Pixels, decode_image, find_images, read_image, shrink
from nevus.errors import DataError


def picture(height: int = 40, width: int = 60) -> Pixels:
    """Smooth, asymmetric in every direction, coloured: a flip, a swap of channels or a wrong range shows."""
    rows, columns = np.mgrid[0:height, 0:width]
    channels = [rows * 200 // height + 20, columns * 200 // width + 30, (rows + 2 * columns) * 60 // (height + width) + 10]
    return np.stack(channels, axis=2).astype(np.uint8)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_jpeg_is_what_pillow_and_opencv_decode() -> None:
    content = saved(Image.fromarray(picture()), "JPEG", quality=90)
    ours = decode_image(content, "a.jpg").astype(int)
    pillow = np.asarray(Image.open(io.BytesIO(content))).astype(int)
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    opencv = decoded[:, :, ::-1].astype(int)
    assert abs(ours - pillow).max() <= 1
    assert abs(ours - opencv).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_exif_orientation_is_applied(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = saved(Image.fromarray(picture()), kind, exif=exif)
    with Image.open(io.BytesIO(content)) as image:
        from PIL import ImageOps

        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB")).astype(int)
    found = decode_image(content, "a").astype(int)
    assert found.shape == expected.shape
    assert abs(found - expected).max() <= 1


def test_grayscale_is_repeated() -> None:
    grey = picture()[:, :, 1]
    for kind in ("PNG", "JPEG"):
        found = decode_image(saved(Image.fromarray(grey), kind), "a")
        assert abs(found.astype(int) - grey[:, :, None]).max() <= (0 if kind == "PNG" else 4)


def test_sixteen_bits_keep_their_upper_eight(tmp_path: Path) -> None:
    grey = picture()[:, :, 0].astype(np.uint16) * 256 + 77
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), grey)
    assert (read_image(path) == picture()[:, :, :1]).all()
    cv2.imwrite(str(path), picture().astype(np.uint16)[:, :, ::-1] * 256 + 77)
    assert abs(read_image(path).astype(int) - picture()).max() <= 1


def test_transparency_lies_on_black() -> None:
    alpha = np.full((40, 60, 1), 255, np.uint8)
    alpha[:, :30] = 0
    found = decode_image(saved(Image.fromarray(np.concatenate([picture(), alpha], axis=2)), "PNG"), "a.png")
    assert (found[:, :30] == 0).all()
    assert (found[:, 30:] == picture()[:, 30:]).all()


def test_cmyk_and_palettes_become_rgb() -> None:
    cmyk = saved(Image.fromarray(picture()).convert("CMYK"), "JPEG", quality=95)
    assert abs(decode_image(cmyk, "a.jpg").astype(int) - picture()).mean() < 6
    palette = saved(Image.fromarray(picture()).quantize(64), "PNG")
    assert abs(decode_image(palette, "a.png").astype(int) - picture()).mean() < 12


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"this is no image at all", "not an image"),
        (saved(Image.fromarray(picture(400, 600)), "JPEG")[:4000], "damaged or cut short"),
        (saved(Image.fromarray(picture(400, 600)), "PNG")[:1000], "damaged or cut short"),
        (saved(Image.fromarray(picture(8, 600)), "PNG"), "at least 16 a side"),
        (saved(Image.new("1", (10_000, 10_000)), "PNG"), "at most 64 megapixels"),
        (saved(Image.new("1", (20_000, 20_000)), "PNG"), "at most 64 megapixels"),
        (saved(Image.fromarray(picture()[:, :, 0].astype(np.float32)), "TIFF"), "no known range"),
        (saved(Image.new("L", (40, 40)), "GIF", save_all=True, append_images=[Image.new("L", (40, 40), 9)]), "2 frames"),
    ],
)
def test_what_cannot_be_trusted_is_refused_by_name(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=rf"lesion\.x: .*{message}"):
        decode_image(content, "lesion.x")


def test_noise_in_a_scan_is_refused_or_decoded_never_another_error() -> None:
    content = bytearray(saved(Image.fromarray(picture(400, 600)), "JPEG", quality=90))
    rng = np.random.default_rng(0)
    middle = len(content) // 2
    content[middle : middle + 400] = rng.integers(0, 256, 400, dtype=np.uint8).tobytes()
    with pytest.raises(DataError, match="damaged"):
        decode_image(bytes(content), "a.jpg")


@given(st.binary(min_size=1, max_size=400), st.integers(0, 300))
def test_any_bytes_give_an_image_or_our_error(noise: bytes, position: int) -> None:
    content = bytearray(saved(Image.fromarray(picture()), "PNG"))
    content[position : position + len(noise)] = noise
    try:
        image = decode_image(bytes(content), "a.png")
    except DataError:
        return
    assert image.dtype == np.uint8
    assert image.ndim == 3


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.jpg: cannot be read"):
        read_image(tmp_path / "none.jpg")


@given(st.integers(20, 300), st.integers(20, 300), st.integers(16, 200))
def test_shrink_keeps_the_aspect_and_never_enlarges(height: int, width: int, side: int) -> None:
    small = shrink(np.zeros((height, width, 3), np.uint8), side)
    assert min(small.shape[:2]) == min(side, height, width)
    assert abs(small.shape[0] / small.shape[1] * width / height - 1) < 0.5 / min(small.shape[:2]) + 0.01


def test_shrink_averages_areas() -> None:
    checks = np.indices((64, 64)).sum(axis=0) % 2 * 255
    small = shrink(np.repeat(checks[:, :, None], 3, axis=2).astype(np.uint8), 16)
    assert (abs(small.astype(int) - 127) <= 1).all()


def test_find_images(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    for name in ("in/b.JPG", "in/deep/a.png", "in/notes.txt"):
        (tmp_path / name).touch()
    found = find_images([tmp_path / "in", tmp_path / "in" / "notes.txt"])
    assert [path.name for path in found] == ["b.JPG", "a.png", "notes.txt"]
    with pytest.raises(DataError, match=r"(?s)empty: a folder without images.*gone: no such file"):
        find_images([tmp_path / "empty", tmp_path / "gone"])
    assert MAX_PIXELS == 64_000_000
