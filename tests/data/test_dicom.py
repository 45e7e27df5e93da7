"""DICOM files written here, pixel by pixel, come back as the pixels that a screen would show."""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from pictures import picture, saved
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_voi_lut, convert_color_space
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from nevus.data.images import decode_image, find_images, load_bytes, read_image
from nevus.errors import DataError, NotAvailableError

# pydicom itself warns of the faults that these tests plant.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def dicom(values: np.ndarray, kind: str, *, bits: int | None = None, **elements: Any) -> Dataset:
    """A data set with these pixels: (rows, columns) or (rows, columns, 3), uint8 or (u)int16."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.Rows, dataset.Columns = values.shape[:2]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = (3 if values.ndim == 3 else 1), kind
    if values.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = values.dtype.itemsize * 8
    dataset.BitsStored = bits or dataset.BitsAllocated
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, int(values.dtype.kind == "i")
    dataset.PixelData = values.tobytes()
    for name, value in elements.items():
        setattr(dataset, name, value)
    return dataset


def content(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def jpeg(image: np.ndarray, **elements: Any) -> Dataset:
    """As ISIC-2020's: one JPEG baseline frame, YBR_FULL_422."""
    dataset = dicom(image, "YBR_FULL_422", **elements)
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = encapsulate([saved(Image.fromarray(image), "JPEG", quality=90)])
    dataset["PixelData"].VR = "OB"
    return dataset


def test_rgb_and_planes_and_run_lengths() -> None:
    image = picture()
    assert (decode_image(content(dicom(image, "RGB")), "a.dcm") == image).all()
    planes = dicom(image, "RGB", PlanarConfiguration=1, PixelData=np.ascontiguousarray(image.transpose(2, 0, 1)).tobytes())
    assert (decode_image(content(planes), "a.dcm") == image).all()
    packed = dicom(image, "RGB")
    packed.compress(RLELossless, generate_instance_uid=False)
    assert (decode_image(content(packed), "a.dcm") == image).all()
    wide = dicom(image.astype(np.uint16) * 256 + 77, "RGB")
    assert (decode_image(content(wide), "a.dcm") == image).all()


def test_luma_and_chroma_become_rgb() -> None:
    image = picture()
    dataset = dicom(convert_color_space(image, "RGB", "YBR_FULL"), "YBR_FULL")
    assert abs(decode_image(content(dataset), "a.dcm").astype(int) - image).max() <= 2


def test_palettes_become_rgb() -> None:
    numbers = (np.arange(1200).reshape(30, 40) % 256).astype(np.uint8)
    tables = np.random.default_rng(0).integers(0, 256, (3, 256), dtype=np.uint8)
    dataset = dicom(numbers, "PALETTE COLOR")
    for table, colour in zip(tables, ("Red", "Green", "Blue"), strict=True):
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(dataset, f"{colour}PaletteColorLookupTableData", (table.astype(np.uint16) * 256 + 3).tobytes())
    assert (decode_image(content(dataset), "a.dcm") == tables.T[numbers]).all()


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_gray_without_a_window_keeps_its_upper_eight_bits(bits: int) -> None:
    gray = picture()[:, :, 0]
    kind = np.uint8 if bits == 8 else np.uint16
    values = gray.astype(kind) << (bits - 8) if bits > 8 else gray
    found = decode_image(content(dicom(values, "MONOCHROME2", bits=bits)), "a.dcm")
    assert (found == gray[:, :, None]).all()
    inverted = decode_image(content(dicom(values, "MONOCHROME1", bits=bits)), "a.dcm")
    assert (inverted == 255 - gray[:, :, None]).all()
    # What a rescale does to all values alike, the range undoes; signed values have zero in the middle.
    scaled = dicom(values, "MONOCHROME2", bits=bits, RescaleSlope="2.5", RescaleIntercept="-40")
    assert abs(decode_image(content(scaled), "a.dcm").astype(int) - gray[:, :, None]).max() <= 1
    if bits == 16:
        signed = (values.astype(int) - 2**15).astype(np.int16)
        assert (decode_image(content(dicom(signed, "MONOCHROME2")), "a.dcm") == gray[:, :, None]).all()


@pytest.mark.parametrize("function", [None, "LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_a_window_shows_what_pydicom_shows(function: str | None) -> None:
    values = picture()[:, :, 1].astype(np.uint16) * 16
    dataset = dicom(values, "MONOCHROME2", bits=12, WindowCenter=["1500", "9"], WindowWidth=["900", "9"])
    if function:
        dataset.VOILUTFunction = function
    expected = apply_voi_lut(values, dataset, index=0) / 4095 * 255
    found = decode_image(content(dataset), "a.dcm")[:, :, 0]
    assert abs(found - expected).max() <= 1.01
    assert np.ptp(found) > 200


def test_a_jpeg_frame_is_decoded_as_that_jpeg_and_large_ones_at_a_fraction() -> None:
    image = np.kron(picture(), np.ones((10, 10, 1), np.uint8))
    frame = saved(Image.fromarray(image), "JPEG", quality=90)
    assert (decode_image(content(jpeg(image)), "a.dcm") == simplejpeg.decode_jpeg(frame)).all()
    assert (load_bytes(content(jpeg(image)), "a.dcm", 48) == load_bytes(frame, "a.jpg", 48)).all()
    gray = dicom(image[:, :, 0], "MONOCHROME2")
    gray.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    gray.PixelData = encapsulate([saved(Image.fromarray(image[:, :, 0]), "JPEG", quality=95)])
    gray["PixelData"].VR = "OB"
    assert abs(decode_image(content(gray), "a.dcm").astype(int) - image[:, :, :1]).max() < 12


def test_an_orientation_inside_a_frame_counts_for_nothing() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    dataset = jpeg(picture())
    dataset.PixelData = encapsulate([saved(Image.fromarray(picture()), "JPEG", quality=90, exif=exif)])
    assert decode_image(content(dataset), "a.dcm").shape == (40, 60, 3)


def test_a_dicom_file_is_an_image_file(tmp_path: Path) -> None:
    path = tmp_path / "a.DCM"
    path.write_bytes(content(dicom(picture(), "RGB")))
    assert find_images([tmp_path]) == [path]
    assert (read_image(path) == picture()).all()


def without(dataset: Dataset, name: str) -> Dataset:
    delattr(dataset, name)
    return dataset


def deflated() -> bytes:
    dataset = dicom(picture(), "RGB")
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return content(dataset)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (content(jpeg(picture(), NumberOfFrames=2)), "holds 2 frames"),
        (content(dicom(picture(), "RGB", NumberOfFrames="3")), "holds 3 frames"),
        (content(without(dicom(picture(), "RGB"), "PixelData")), "without pixels"),
        (content(dicom(picture(), "RGB"))[:-4000], "its size needs 7200 bytes of pixels, it holds 3200"),
        (content(jpeg(picture(400, 600)))[:-4000], "cut short"),
        (content(dicom(picture(), "RGB"))[:300], "without pixels, or cut short|damaged"),
        (content(dicom(picture(), "RGB", Rows=20)), "its size needs 3600 bytes of pixels, it holds 7200"),
        (content(dicom(picture(), "RGB", Rows=80)), "its size needs 14400 bytes of pixels, it holds 7200"),
        (content(jpeg(picture(), Rows=80)), "headers disagree"),
        (content(dicom(picture(), "RGB", Rows=60_000, Columns=60_000)), "at most 64 megapixels"),
        (content(jpeg(picture(), Rows=60_000, Columns=60_000)), "at most 64 megapixels"),
        (content(dicom(picture(8, 60), "RGB")), "at least 16 a side"),
        (content(dicom(picture(), "HSV")), "HSV pixels; expected one of RGB"),
        (content(dicom(picture()[:, :, 0], "MONOCHROME2", VOILUTSequence=[Dataset()])), "VOILUTSequence cannot be applied"),
        (content(dicom(picture()[:, :, 0].astype(np.uint32), "MONOCHROME2")), "32 of 32 bits a value; 8 to 16"),
        (content(without(dicom(picture(), "RGB"), "Columns")), "damaged"),
        (deflated(), "deflated"),
    ],
)
def test_what_cannot_be_trusted_is_refused_by_name(file: bytes, message: str) -> None:
    with pytest.raises(DataError, match=rf"(?s)lesion\.dcm: .*({message})"):
        decode_image(file, "lesion.dcm")


@given(st.binary(min_size=1, max_size=200), st.integers(128, 1200))
def test_any_bytes_give_an_image_or_our_error(noise: bytes, position: int) -> None:
    damaged = bytearray(content(dicom(picture(16, 20), "RGB")))
    damaged[position : position + len(noise)] = noise
    try:
        image = decode_image(bytes(damaged), "a.dcm")
    except DataError:
        return
    assert image.dtype == np.uint8
    assert image.shape[2] == 3


def test_without_pydicom_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(NotAvailableError, match=r"a\.dcm: reading DICOM needs pydicom: pip install 'nevus\[dicom\]'"):
        decode_image(content(dicom(picture(), "RGB")), "a.dcm")
