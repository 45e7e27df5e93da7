"""Claims: HAM10000's 10,015 images are audited for near-duplicates in a minute, 400,000 fingerprints in five, without all pairs.

The peers: imagehash's phash and all pairs compared in a loop, timed on 1,000 images and scaled up; all pairs of fingerprints by
matrix products, timed on 4,000 rows and scaled up. Needs the real images (NEVUS_DATA, or shared/data beside the checkout).
"""

import resource
import sys
import time
from pathlib import Path

import numpy as np

from nevus.data.audit.duplicates import FINGERPRINT_RADIUS, SPECTRAL_RADIUS, candidates, find_duplicates
from nevus.data.audit.fingerprint import NUM_ORIENTATIONS, Fingerprints, turned_spectra
from nevus.data.audit.looks import look
from photographs import originals
from result import conclude, finish, show

NUM_FINGERPRINTS, NUM_PLANTED = 400_000, 2_000
IMAGES_LIMIT_S, FINGERPRINTS_LIMIT_S, MEMORY_LIMIT_MIB = 60.0, 300.0, 2048
PEER_IMAGES, PEER_ROWS = 1_000, 4_000
OURS = "nevus audit"


def main() -> None:
    paths = originals()
    if not paths:
        sys.exit("bench_audit: the real images are not at hand; set NEVUS_DATA to their folder")
    start = time.perf_counter()
    looks = look(paths, with_signs=False)
    found = find_duplicates(paths, looks)
    ours = time.perf_counter() - start
    peer, limit = "imagehash.phash, all pairs in a loop", f"the limit, {IMAGES_LIMIT_S:g} s"
    images = {OURS: ours, limit: IMAGES_LIMIT_S}
    if (seconds := naive(paths)) is not None:
        images[peer] = seconds
    show(f"near-duplicates among {len(paths):,} images, {len(found.links)} pairs of copies found", "s, one run", images)
    conclude("audit_images", images, ours=OURS, peer=limit, bar=1, unit="s", lower_is_better=True)
    if peer in images:
        conclude("audit_images_peer", images, ours=OURS, peer=peer, bar=1, unit="s", lower_is_better=True)
    prints, planted = generate(looks.fingerprints)
    start = time.perf_counter()
    seen: set[tuple[int, int]] = set()
    num_candidates = 0
    for pairs in candidates(prints):
        num_candidates += len(pairs)
        seen |= {(first, second) for first, second in pairs[:, :2].tolist() if (first, second) in planted}
    ours = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    if lost := len(planted - seen):
        sys.exit(f"bench_audit: {lost} of {len(planted)} planted pairs were missed")
    limit, peer = f"the limit, {FINGERPRINTS_LIMIT_S:g} s", "all pairs by matrix products, from a part of them"
    measured = {OURS: ours, limit: FINGERPRINTS_LIMIT_S, peer: all_pairs(prints)}
    what = f"{len(prints):,} fingerprints, {len(planted):,} planted pairs all found, {num_candidates:,} candidates"
    show(what, "s, one run", measured)
    conclude("audit_fingerprints", measured, ours=OURS, peer=limit, bar=1, unit="s", lower_is_better=True)
    memory = {OURS: float(peak), "the limit, 2 GiB": float(MEMORY_LIMIT_MIB)}
    show(what, "MiB resident at most", memory)
    conclude("audit_memory", memory, ours=OURS, peer="the limit, 2 GiB", bar=1, unit="MiB", lower_is_better=True)
    finish()


def naive(paths: list[Path]) -> float | None:
    """Seconds of the loop that imagehash's users write, from a part of the images; None where it is not installed."""
    try:
        import imagehash
        from PIL import Image
    except ImportError:
        print("imagehash is not installed: pip install imagehash for the comparison")
        return None
    part = paths[:: len(paths) // PEER_IMAGES]
    start = time.perf_counter()
    hashes = [imagehash.phash(Image.open(path)) for path in part]
    hashed = time.perf_counter()
    sum(first - second <= 6 for place, first in enumerate(hashes) for second in hashes[place + 1 :])
    compared = time.perf_counter()
    share = len(paths) / len(part)
    return (hashed - start) * share + (compared - hashed) * share**2


def generate(real: Fingerprints) -> tuple[Fingerprints, set[tuple[int, int]]]:
    """Fingerprints spread as real ones are, mixed from two each, and pairs at known distances inside the radii."""
    rng = np.random.default_rng(0)
    num_mixed = NUM_FINGERPRINTS - len(real) - NUM_PLANTED
    first, second = rng.integers(0, len(real), (2, num_mixed))
    share = rng.uniform(0.5, 1, (num_mixed, 1)).astype(np.float32)
    spread = np.sqrt(share**2 + (1 - share) ** 2)  # a mean of two lies closer to the middle: put it back
    middle = real.invariants.mean(axis=0)
    mixed = middle + ((real.invariants[first] - middle) * share + (real.invariants[second] - middle) * (1 - share)) / spread
    spectra = real.spectra[first] * share[:, :, None, None] + real.spectra[second] * (1 - share[:, :, None, None])
    spectra /= np.sqrt((spectra**2).sum(axis=(1, 2, 3), keepdims=True))
    invariants = np.concatenate([real.invariants, mixed.astype(np.float32)])
    joint = np.concatenate([real.spectra, spectra.astype(np.float16)])
    rows = rng.choice(len(invariants), NUM_PLANTED, replace=False)
    away = rng.normal(size=(NUM_PLANTED, invariants.shape[1]))
    away *= FINGERPRINT_RADIUS * rng.uniform(0, 0.999, (NUM_PLANTED, 1)) / np.linalg.norm(away, axis=1, keepdims=True)
    copies = joint[rows].astype(np.float32)
    noise = rng.normal(size=copies.shape).astype(np.float32)
    noise -= copies * (noise * copies).sum(axis=(1, 2, 3), keepdims=True)
    noise /= np.sqrt((noise**2).sum(axis=(1, 2, 3), keepdims=True))
    angle = 2 * np.arcsin(SPECTRAL_RADIUS / 2 * rng.uniform(0, 0.97, (NUM_PLANTED, 1, 1, 1)).astype(np.float32))
    copies = copies * np.cos(angle) + noise * np.sin(angle)
    turned = np.stack([turned_spectra(copies[[row]], row % NUM_ORIENTATIONS)[0] for row in range(NUM_PLANTED)])
    start = len(invariants)
    planted = {(int(row), start + number) for number, row in enumerate(rows)}
    everything = np.concatenate([invariants, (invariants[rows] + away).astype(np.float32)])
    return Fingerprints(everything, np.concatenate([joint, turned.astype(np.float16)])), planted


def all_pairs(prints: Fingerprints) -> float:
    """Seconds that comparing every pair of invariants would take, from the first rows against all."""
    points = prints.invariants
    squares = (points**2).sum(axis=1)
    start = time.perf_counter()
    for place in range(0, PEER_ROWS, 500):
        part = points[place : place + 500]
        distances = squares - 2 * part @ points.T + squares[place : place + 500, None]
        np.nonzero(distances <= FINGERPRINT_RADIUS**2)
    return (time.perf_counter() - start) * len(points) / PEER_ROWS / 2


if __name__ == "__main__":
    main()
