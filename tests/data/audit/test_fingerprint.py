import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nevus.data.audit.fingerprint import NUM_ORIENTATIONS, fingerprints, oriented, spectral_distances, thumbnail
from nevus.data.phantom import paint


@given(st.integers(0, 500), st.integers(0, NUM_ORIENTATIONS - 1))
@settings(max_examples=15)
def test_flips_and_quarter_turns_leave_the_fingerprint_alone(seed: int, orientation: int) -> None:
    image = thumbnail(paint("mel", seed, 0))
    both = fingerprints(np.stack([image, oriented(image, orientation)]))
    assert both.invariants[0] == pytest.approx(both.invariants[1], abs=0.01)
    distances, found = spectral_distances(both.spectra[:1], both.spectra[1:])
    assert distances[0] < 0.05
    # The orientation that is found undoes the one that was made.
    assert (oriented(oriented(image, orientation), int(found[0])) == image).all()


def test_the_spectrum_is_the_cosine_transform() -> None:
    scipy_fft = pytest.importorskip("scipy.fft")
    image = thumbnail(paint("nv", 3, 0))
    lightness = (image / image.reshape(-1, 3).mean(axis=0)).mean(axis=2)
    expected = scipy_fft.dctn(lightness - lightness.mean(), norm="ortho")[:6, :6]
    found = fingerprints(image[None]).spectra[0, :, :, 0].astype(float)
    expected[0, 0] = 0
    assert found / np.linalg.norm(found) == pytest.approx(expected / np.linalg.norm(expected), abs=2e-3)


def test_exposure_and_no_images() -> None:
    image = thumbnail(paint("bkl", 5, 0))
    darker = (image * 0.8).astype(np.uint8)
    both = fingerprints(np.stack([image, darker]))
    assert np.linalg.norm(both.invariants[0] - both.invariants[1]) < 3
    assert len(fingerprints(np.zeros((0, 32, 32, 3), np.uint8))) == 0
