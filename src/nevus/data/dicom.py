"""A DICOM file's single frame as the pixels a screen would show.

JPEG frames, as ISIC-2020's, are decoded as any JPEG is. What else there is becomes 8 bits so: colours keep their upper eight
bits. Gray values are rescaled, then shown through the first window that the file names; without one their whole stored range
runs from black to white, as the upper eight bits of a 16-bit PNG do. MONOCHROME1 is inverted. Tables in place of a window are
refused, and so are several frames.
"""

import importlib
import io
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nevus.data.headers import check_size
from nevus.data.jpeg import decode_jpeg
from nevus.errors import DataError, NotAvailableError

# It warns of odd values anywhere in a file; those that count here are checked.
warnings.filterwarnings("ignore", module="pydicom")

Values = NDArray[np.float64]

_JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_TABLES = ("ModalityLUTSequence", "VOILUTSequence")
_KINDS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "PALETTE COLOR", "MONOCHROME1", "MONOCHROME2")


def is_dicom(content: bytes) -> bool:
    """Whether a file's bytes are DICOM's, by the word after its preamble."""
    return content[128:132] == b"DICM"


def decode_dicom(content: bytes, name: str, short_side: int | None) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """The frame as uint8 RGB, and its whole (height, width); a JPEG's may be smaller where `short_side` allows.

    Raises
    ------
    DataError
        There is no image in it, or not exactly one frame, or its size, kind or encoding is none that is read, or it is damaged.
    NotAvailableError
        pydicom is not installed.
    """
    try:
        pydicom, pixels = importlib.import_module("pydicom"), importlib.import_module("pydicom.pixels")
    except ImportError as error:
        raise NotAvailableError(f"{name}: reading DICOM needs pydicom: pip install 'nevus[dicom]'") from error
    if _DEFLATED in content[:2048]:
        raise DataError(f"{name}: the whole file is deflated, which may hide any size. Save it with another transfer syntax.")
    try:
        dataset = pydicom.dcmread(io.BytesIO(content))
        shape = _check(dataset, name)
        if _is_colour_jpeg(dataset):
            frame = importlib.import_module("pydicom.encaps").get_frame(dataset.PixelData, 0, number_of_frames=1)
            return decode_jpeg(frame, *shape, short_side), shape
        _check_length(dataset, shape)
        return _eight_bits(dataset, pixels), shape
    except DataError:
        raise
    except (RuntimeError, NotImplementedError) as error:
        advice = "Save it as JPEG baseline or without compression."
        raise DataError(f"{name}: its encoding cannot be read here ({error}). {advice}") from error
    except Exception as error:  # a damaged file fails in pydicom wherever its bytes lead
        raise DataError(f"{name}: the DICOM file is damaged or cut short ({error}). Copy it again from its source.") from error


def _check(dataset: Any, name: str) -> tuple[int, int]:
    """What can be known before a pixel is decoded; the frame's (height, width)."""
    if "PixelData" not in dataset:
        raise DataError(f"{name}: a DICOM file without pixels, or cut short before them. Give one that holds an image.")
    if (num_frames := int(dataset.get("NumberOfFrames") or 1)) != 1:
        raise DataError(f"{name}: holds {num_frames} frames; one is expected. Save the one that is meant as a file.")
    shape = int(dataset.Rows), int(dataset.Columns)
    check_size(*shape, name)
    if (kind := dataset.PhotometricInterpretation) not in _KINDS:
        raise DataError(f"{name}: {kind} pixels; expected one of {', '.join(_KINDS)}.")
    if tables := [table for table in _TABLES if dataset.get(table)]:
        raise DataError(f"{name}: {', '.join(tables)} cannot be applied. Save the image as it is shown, as PNG or JPEG.")
    if not 8 <= int(dataset.BitsStored) <= int(dataset.BitsAllocated) <= 16:
        raise DataError(f"{name}: {dataset.BitsStored} of {dataset.BitsAllocated} bits a value; 8 to 16 are read.")
    return shape


def _is_colour_jpeg(dataset: Any) -> bool:
    baseline = dataset.file_meta.TransferSyntaxUID == _JPEG_BASELINE
    return bool(baseline and dataset.PhotometricInterpretation.startswith("YBR"))


def _check_length(dataset: Any, shape: tuple[int, int]) -> None:
    """Uncompressed pixels must be as many as Rows and Columns say, but for one byte that makes their number even."""
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        return
    needed = shape[0] * shape[1] * int(dataset.SamplesPerPixel) * (int(dataset.BitsAllocated) // 8)
    if dataset.PhotometricInterpretation == "YBR_FULL_422":
        needed = needed // 3 * 2
    if len(dataset.PixelData) - needed not in (0, needed % 2):
        raise ValueError(f"its size needs {needed} bytes of pixels, it holds {len(dataset.PixelData)}")


def _eight_bits(dataset: Any, pixels: Any) -> NDArray[np.uint8]:
    values = pixels.pixel_array(dataset)  # YBR comes as RGB
    bits = int(dataset.BitsStored)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        values, bits = pixels.apply_color_lut(values, dataset), int(dataset.RedPaletteColorLookupTableDescriptor[2])
    if values.ndim == 3:
        return np.ascontiguousarray((values >> (bits - 8)).astype(np.uint8))
    # The upper eight bits: as many values become black as white.
    levels = np.minimum(_shown(dataset, values.astype(np.float64)) * 256, 255).astype(np.uint8)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        levels = 255 - levels
    return np.repeat(levels[:, :, None], 3, axis=2)


def _shown(dataset: Any, values: Values) -> Values:
    """Gray values from 0 to 1: rescaled, then through the window (DICOM PS3.3, C.11.2.1), else over their whole range."""
    slope, intercept = float(dataset.get("RescaleSlope") or 1), float(dataset.get("RescaleIntercept") or 0)
    values = values * slope + intercept
    if (centre := _first(dataset.get("WindowCenter"))) is None or (width := _first(dataset.get("WindowWidth"))) is None:
        bits, signed = int(dataset.BitsStored), int(dataset.PixelRepresentation) == 1
        lowest = -(2.0 ** (bits - 1)) if signed else 0.0
        ends = lowest * slope + intercept, (lowest + 2.0**bits) * slope + intercept
        return np.asarray((values - min(ends)) / abs(ends[1] - ends[0]))
    function = dataset.get("VOILUTFunction") or "LINEAR"
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(-4 * (values - centre) / width)))
    if function == "LINEAR":  # its window is one value wider than the span of what it shows
        centre, width = centre - 0.5, max(width - 1, 1e-9)
    return np.asarray(np.clip((values - centre) / width + 0.5, 0, 1))


def _first(value: Any) -> float | None:
    if value is None or value == "":
        return None
    return float(value[0] if hasattr(value, "__getitem__") else value)
