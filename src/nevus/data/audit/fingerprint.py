"""What an image looks like in 134 numbers: the same under flips and quarter turns, nearly the same under a re-save or crop.

Two parts, both of the image squeezed to 32 × 32 and divided by its mean colour, so that exposure and shape drop out:

- 26 invariants: contrasts, colour ratios, correlations of colour channels and means over five rings. Each is divided by its
  root-mean-square change under the edits that a near-duplicate has been through, so that a distance is in units of that change.
- a spectrum: the lowest 6 × 6 cosine coefficients of lightness and two colour differences, of unit length. A flip changes signs
  in it and a quarter turn transposes it, so that all eight orientations of one image come from one spectrum.
"""

import functools
import itertools
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from nevus.data.images import Pixels

Floats = NDArray[np.float32]

SIDE = 32
NUM_INVARIANTS = 26
NUM_ORIENTATIONS = 8
_NUM_FREQUENCIES = 6
_RINGS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)
# Root-mean-square changes measured on 600 images of HAM10000 under: JPEG quality 40; a third of the size; gamma 0.8 or 1.25;
# crops to 97% and 95% of each side anywhere; and crop, resize, turn, exposure and JPEG 60 together.
_CHANGES = (
    *(0.060, 0.060),  # log ratios red to green, blue to green: wider than the edits', since white balance is an edit too
    *(0.080, 0.069, 0.068),  # log contrasts
    *(0.020, 0.033, 0.034),  # correlations of channels
    *(0.097, 0.079, 0.079),  # skewness
    *(0.124, 0.079, 0.055, 0.030, 0.074),  # ring means of lightness,
    *(0.109, 0.068, 0.051, 0.032, 0.051),  # of red minus green,
    *(0.103, 0.067, 0.054, 0.038, 0.055),  # of blue minus green
)


@dataclass(frozen=True)
class Fingerprints:
    """`invariants` float32 (N, 26); `spectra` float16 (N, 6, 6, 3)."""

    invariants: Floats
    spectra: NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.invariants)


def thumbnail(image: Pixels, side: int = SIDE) -> Pixels:
    """Squeeze an image to a square by averaging areas: uint8 (side, side, 3)."""
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def fingerprints(thumbnails: Pixels) -> Fingerprints:
    """Fingerprints of thumbnails, uint8 (N, 32, 32, 3).

    >>> image = np.random.default_rng(0).integers(0, 255, (1, 32, 32, 3), np.uint8)
    >>> flipped = fingerprints(image[:, ::-1])
    >>> bool(np.allclose(flipped.invariants, fingerprints(image).invariants, atol=1e-2))
    True
    """
    parts = [_fingerprints(thumbnails[start : start + 1000]) for start in range(0, len(thumbnails), 1000)]
    if not parts:
        shape = (0, _NUM_FREQUENCIES, _NUM_FREQUENCIES, 3)
        return Fingerprints(np.zeros((0, NUM_INVARIANTS), np.float32), np.zeros(shape, np.float16))
    return Fingerprints(np.concatenate([part.invariants for part in parts]), np.concatenate([part.spectra for part in parts]))


def joined(parts: list[Fingerprints]) -> Fingerprints:
    """Fingerprints one after another."""
    invariants = np.concatenate([part.invariants for part in parts])
    return Fingerprints(invariants, np.concatenate([part.spectra for part in parts]))


def spectral_distances(first: NDArray[np.float16], second: NDArray[np.float16]) -> tuple[Floats, NDArray[np.int8]]:
    """Distances of pairs of spectra, (P, 6, 6, 3) each, under the best of eight orientations of the second, and which it is.

    A flip changes the signs of the odd rows or columns: the four sums of products by parity give four orientations at once.
    """
    ours = first.astype(np.float32).reshape(len(first), -1)
    theirs = second.astype(np.float32)
    parity, signs = _parities()
    upright = (ours * theirs.reshape(len(first), -1)) @ parity @ signs
    transposed = (ours * theirs.transpose(0, 2, 1, 3).reshape(len(first), -1)) @ parity @ signs
    products = np.concatenate([upright, transposed], axis=1)
    best = products.argmax(axis=1)
    distances = np.sqrt(np.maximum(2 - 2 * products[np.arange(len(first)), best], 0))
    return distances.astype(np.float32), best.astype(np.int8)


@functools.cache
def _parities() -> tuple[Floats, Floats]:
    """Which of four parities (of row, of column) each of 108 coefficients has, (108, 4), and its sign in four flips, (4, 4)."""
    rows, columns, _ = np.mgrid[:_NUM_FREQUENCIES, :_NUM_FREQUENCIES, :3] % 2
    kind = (2 * columns + rows).ravel()
    kinds = np.arange(4)
    signs = np.array([[(-1) ** ((place & flip & 1) + (place & flip) // 2) for flip in kinds] for place in kinds])
    return (kind[:, None] == kinds).astype(np.float32), signs.astype(np.float32)


def turned_spectra(spectra: Floats, orientation: int) -> Floats:
    """The spectra, (N, 6, 6, 3), that the images would have in one of eight orientations."""
    if orientation & 4:
        spectra = spectra.transpose(0, 2, 1, 3)
    signs = (-1.0) ** np.arange(_NUM_FREQUENCIES, dtype=np.float32)
    if orientation & 1:
        spectra = spectra * signs[:, None, None]
    return spectra * signs[None, :, None] if orientation & 2 else spectra


def oriented(image: Pixels, orientation: int) -> Pixels:
    """One of the eight flips and quarter turns of an image, numbered as `spectral_distances` numbers them."""
    if orientation & 4:
        image = image.swapaxes(0, 1)
    return np.ascontiguousarray(image[:: -1 if orientation & 1 else 1, :: -1 if orientation & 2 else 1])


def _fingerprints(thumbnails: Pixels) -> Fingerprints:
    num_images = len(thumbnails)
    pixels = thumbnails.reshape(num_images, SIDE * SIDE, 3).astype(np.float32)
    means = np.maximum(pixels.mean(axis=1), 1)
    pixels /= means[:, None]
    red, green, blue = np.moveaxis(pixels, 2, 0)
    channels = np.stack([pixels.mean(axis=2), red - green, blue - green], axis=1)
    channels -= channels.mean(axis=2, keepdims=True)
    return Fingerprints(_invariants(np.log(means), channels), _spectra(channels).astype(np.float16))


def _invariants(log_means: Floats, channels: Floats) -> Floats:
    contrasts = channels.std(axis=2) + 0.01
    scaled = channels / contrasts[:, :, None]
    correlations = np.einsum("nip,njp->nij", scaled, scaled) / scaled.shape[2]
    ratios = log_means[:, [0, 2]] - log_means[:, [1]]
    skewness = (np.clip(scaled, -4, 4) ** 3).mean(axis=2)
    rings = np.einsum("rp,ncp->ncr", _rings(), scaled, optimize=True).reshape(len(channels), -1)
    raw = np.concatenate([ratios, np.log(contrasts), correlations[:, [0, 0, 1], [1, 2, 2]], skewness, rings], axis=1)
    scaled_invariants: Floats = (raw / np.array(_CHANGES)).astype(np.float32)
    return scaled_invariants


def _spectra(channels: Floats) -> Floats:
    basis = _cosines()
    square = channels.reshape(len(channels), 3, SIDE, SIDE)
    coefficients = np.einsum("ui,ncij,vj->nuvc", basis, square, basis, optimize=True) / SIDE
    coefficients[:, 0, 0] = 0
    # Without a floor the noise of an empty image would be stretched to unit length.
    lengths = np.maximum(np.sqrt((coefficients**2).sum(axis=(1, 2, 3), keepdims=True)), 0.02)
    unit: Floats = coefficients / lengths
    return unit


def _rings() -> Floats:
    middle = (SIDE - 1) / 2
    radius = np.hypot(*(np.mgrid[:SIDE, :SIDE] - middle)).ravel() / (SIDE / 2)
    inside = np.stack([(radius >= low) & (radius < high) for low, high in itertools.pairwise(_RINGS)])
    means: Floats = (inside / inside.sum(axis=1, keepdims=True)).astype(np.float32)
    return means


def _cosines() -> Floats:
    """The orthonormal DCT-II's lowest rows, (6, 32)."""
    frequencies, places = np.mgrid[:_NUM_FREQUENCIES, :SIDE]
    rows = np.sqrt(2 / SIDE) * np.cos(np.pi * frequencies * (2 * places + 1) / (2 * SIDE))
    rows[0] /= np.sqrt(2)
    cosines: Floats = rows.astype(np.float32)
    return cosines
