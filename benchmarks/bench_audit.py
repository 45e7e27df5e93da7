"""Claims: HAM10000's 10,015 images are audited for near-duplicates in a minute, 400,000 fingerprints in five, without all pairs.

The peers: imagehash's phash and all pairs compared in a loop, timed on 1,000 images and scaled up; all pairs of fingerprints by
matrix products, timed on 4,000 rows and scaled up. Needs the real images (NEVUS_DATA, or shared/data beside the checkout).
"""

import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from nevus.data.audit.duplicates import FINGERPRINT_RADIUS, SPECTRAL_RADIUS, candidates, find_duplicates
from nevus.data.audit.fingerprint import NUM_ORIENTATIONS, Fingerprints, turned_spectra
from nevus.data.audit.looks import look
from nevus.files import write_json
from nevus.provenance import provenance

NUM_FINGERPRINTS, NUM_PLANTED = 400_000, 2_000
IMAGES_LIMIT_S, FINGERPRINTS_LIMIT_S, MEMORY_LIMIT_MIB = 60.0, 300.0, 2048
PEER_IMAGES, PEER_ROWS = 1_000, 4_000


def main() -> None:
    data = Path(os.environ.get("NEVUS_DATA", Path(__file__).parents[2] / "shared" / "data"))
    paths = sorted((data / "ham10000" / "images").glob("*.jpg"))
    if not paths:
        sys.exit(f"bench_audit: the real images are not at {data}; set NEVUS_DATA to their folder")
    start = time.perf_counter()
    looks = look(paths, with_signs=False)
    found = find_duplicates(paths, looks)
    ours = time.perf_counter() - start
    fast_images = conclude(
        "audit_images",
        f"{len(paths):,} images, {len(found.links)} pairs of copies found",
        ours,
        "imagehash.phash and all pairs in a loop, from 1,000 images",
        naive(paths),
        IMAGES_LIMIT_S,
    )
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
    what = f"{len(prints):,} fingerprints, {len(planted):,} planted pairs all found, {num_candidates:,} candidates, {peak} MiB"
    peer = all_pairs(prints)
    fast_fingerprints = conclude(
        "audit_fingerprints", what, ours, "all pairs by matrix products, from 4,000 rows", peer, FINGERPRINTS_LIMIT_S
    )
    sys.exit(0 if fast_images and fast_fingerprints and peak < MEMORY_LIMIT_MIB else 1)


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


def conclude(name: str, what: str, ours: float, peer_name: str, peer: float | None, limit: float) -> bool:
    """Print and write one claim: seconds once each, the ratio of the peer's to ours, and whether ours keeps the limit."""
    origin = provenance()
    holds = ours < limit
    print(f"{name} ({origin['hardware']}): {what}")
    print(f"  ours {ours:.1f} s, limit {limit:g} s: {'holds' if holds else 'MISSED'}")
    print(f"  {peer_name}: {'not measured' if peer is None else f'{peer:.1f} s, ours is {peer / ours:.1f} times as fast'}")
    document: dict[str, Any] = {
        "name": name,
        "ours": {"what": what, "value": ours, "unit": "s"},
        "peer": {"what": peer_name, "value": peer, "unit": "s"},
        "ratio": None if peer is None else peer / ours,
        "bar": {"what": "ours at most", "value": limit, "unit": "s"},
        "holds": holds,
        "machine": origin["hardware"],
        "command": "python benchmarks/bench_audit.py",
        "packages": origin["packages"],
        "commit": origin["commit"],
    }
    write_json(Path(__file__).parent / "results" / f"{name}.json", document)
    return holds


if __name__ == "__main__":
    main()
