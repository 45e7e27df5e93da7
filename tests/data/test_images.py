"""Every kind of file a user might hand in: read as the pixels meant, or refused in words."""

import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import picture, saved
from PIL import Image

from nevus.data.headers import MAX_BYTES, MAX_PIXELS, check_png
from nevus.data.images import Pixels, decode_image, find_images, is_blank, load_bytes, load_image, read_image, shrink
from nevus.data.jpeg import DCT_MARGIN, plain_jpeg
from nevus.errors import DataError


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


def lying_png(height: int, width: int) -> bytes:
    content = bytearray(saved(Image.fromarray(picture(400, 600)), "PNG"))
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"this is no image at all", "not an image"),
        (saved(Image.fromarray(picture(400, 600)), "JPEG")[:4000], "damaged or cut short"),
        (saved(Image.fromarray(picture(400, 600)), "PNG")[:1000], "damaged or cut short"),
        (saved(Image.fromarray(picture(8, 600)), "PNG"), "at least 16 a side"),
        (lying_png(10_000, 10_000), "at most 64 megapixels"),
        (lying_png(20_000, 20_000), "at most 64 megapixels"),
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


def detailed(height: int, width: int) -> Pixels:
    """Shapes and noise at every scale, so that decoding too coarsely shows."""
    rng = np.random.default_rng(0)
    layers = [
        cv2.resize(rng.normal(0, 1, (size, size, 3)), (width, height), interpolation=cv2.INTER_CUBIC) for size in (4, 16, 64)
    ]
    return np.clip(128 + 25 * sum(layers) + rng.normal(0, 3, (height, width, 1)), 0, 255).astype(np.uint8)


def psnr(image: Pixels, reference: Pixels) -> float:
    return float(10 * np.log10(255**2 / np.mean((image.astype(float) - reference) ** 2)))


@pytest.mark.slow
@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(("height", "width", "least"), [(900, 1200, 50), (1201, 899, 42), (1003, 1501, 43), (449, 601, 39)])
def test_a_large_jpeg_is_decoded_at_a_fraction_to_the_same_picture(height: int, width: int, least: int, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = saved(Image.fromarray(detailed(height, width)), "JPEG", quality=92, exif=exif if orientation > 1 else b"")
    whole = decode_image(content, "a.jpg")
    for side in (64, 150, 280, 448, 2000):
        found, expected = load_bytes(content, "a.jpg", side), shrink(whole, side)
        assert found.shape == expected.shape
        if min(height, width) < 2 * DCT_MARGIN * side:
            assert (found == expected).all()
        else:
            assert least < psnr(found, expected) < 100, "close, and yet not decoded whole"


def test_other_kinds_are_shrunk_from_the_whole_image(tmp_path: Path) -> None:
    image = detailed(500, 700)
    for kind in ("PNG", "BMP", "TIFF"):
        (tmp_path / kind).write_bytes(saved(Image.fromarray(image), kind))
        assert (load_image(tmp_path / kind, 60) == shrink(image, 60)).all()
    cmyk = saved(Image.fromarray(image).convert("CMYK"), "JPEG", quality=95)
    assert (load_bytes(cmyk, "a", 60) == shrink(decode_image(cmyk, "a"), 60)).all()


def test_a_plain_jpeg_and_one_that_pillow_opens_give_the_same_pixels() -> None:
    for mode in ("RGB", "L"):
        image = Image.fromarray(picture()).convert(mode)
        exif = Image.Exif()
        exif[0x010E] = "a description"
        bare, described = saved(image, "JPEG", quality=90), saved(image, "JPEG", quality=90, exif=exif)
        assert (plain_jpeg(bare), plain_jpeg(described)) == (True, False)
        assert (decode_image(bare, "a.jpg") == decode_image(described, "a.jpg")).all()
    for mode, options in (("CMYK", {}), ("RGB", {"comment": b"Z" * 999, "icc_profile": b"0" * 70_000, "progressive": True})):
        content = saved(Image.fromarray(picture()).convert(mode), "JPEG", **options)
        assert plain_jpeg(content) == (mode == "RGB")
    two = saved(Image.fromarray(picture()), "MPO", save_all=True, append_images=[Image.fromarray(picture())])
    assert not plain_jpeg(two)
    with pytest.raises(DataError, match="holds 2 frames"):
        decode_image(two, "a.jpg")


def lying_jpeg(height: int, width: int, *, progressive: bool = False) -> bytes:
    content = bytearray(saved(Image.fromarray(picture(400, 600)), "JPEG", progressive=progressive))
    place = content.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    content[place + 5 : place + 9] = struct.pack(">HH", height, width)
    return bytes(content)


@pytest.mark.parametrize(("height", "width"), [(200, 600), (400, 300), (100, 100), (800, 600), (400, 1200), (4000, 600)])
def test_a_header_that_says_another_size_is_refused(height: int, width: int) -> None:
    for content in (lying_jpeg(height, width), lying_jpeg(height, width, progressive=True), lying_png(height, width)):
        with pytest.raises(DataError, match="damaged or cut short"):
            decode_image(content, "a")
        with pytest.raises(DataError, match="damaged or cut short"):
            load_bytes(content, "a", 40)


def test_gigapixels_and_huge_files_take_no_memory(tmp_path: Path) -> None:
    bomb = saved(Image.new("L", (8_000, 8_000)), "PNG")  # 64 megapixels are just allowed
    assert len(bomb) < 100_000
    more = bytearray(lying_png(8_000, 8_000)) + bomb
    huge = tmp_path / "huge.jpg"
    with huge.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    bombs = (lying_jpeg(60_000, 60_000), lying_png(60_000, 60_000))
    tracemalloc.start()
    for content in bombs:
        with pytest.raises(DataError, match="at most 64 megapixels"):
            decode_image(content, "a")
    with pytest.raises(DataError, match=r"huge\.jpg: 512 MiB; an image file of at most 512 MiB"):
        load_image(huge, 224)
    with pytest.raises(ValueError, match="its header needs"):
        check_png(bytes(more))
    assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_png_data_of_the_right_length_pass_in_every_mode(mode: str) -> None:
    for width in range(16, 33):
        check_png(saved(Image.new(mode, (width, 17)), "PNG"))


def test_interlaced_png_data_are_counted_by_passes() -> None:
    # Pillow writes none, so the chunks are written here: seven passes, a filter byte before each row.
    for height, width in ((16, 16), (17, 23), (40, 19)):
        image = np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)
        rows = [
            b"\0" + row.tobytes()
            for x, y, step_x, step_y in (
                (0, 0, 8, 8),
                (4, 0, 8, 8),
                (0, 4, 4, 8),
                (2, 0, 4, 4),
                (0, 2, 2, 4),
                (1, 0, 2, 2),
                (0, 1, 1, 2),
            )
            for row in image[y::step_y, x::step_x]
            if len(row)
        ]
        parts = (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1)),
            (b"IDAT", zlib.compress(b"".join(rows))),
            (b"IEND", b""),
        )
        chunks = [struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts]
        found = decode_image(b"\x89PNG\r\n\x1a\n" + b"".join(chunks), "a.png")
        assert (found == image[:, :, None]).all()


@pytest.mark.parametrize(("deviation", "blank"), [(0.0, True), (2.0, True), (4.5, False), (30.0, False)])
@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (150, 200), (450, 600), (900, 401)])
def test_an_image_of_one_colour_is_known_by_the_deviation_of_its_grey_levels(
    shape: tuple[int, int], deviation: float, blank: bool
) -> None:
    grey = np.random.default_rng(0).normal(120, deviation, shape).clip(0, 255).round().astype(np.uint8)
    step = max(1, min(shape) // 200)
    assert (grey[::step, ::step].std() < 3) == (blank or grey.size == 1), "as NumPy has it"
    assert is_blank(np.repeat(grey[..., None], 3, axis=2)) == (blank or grey.size == 1)
