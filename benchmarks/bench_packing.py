"""Claims: packing runs at 85% of the rate of bare decoding and area-resizing on the same cores, and its processes stay under
1 GiB of memory, whatever the size of the data set.

Bare is simplejpeg and OpenCV in two processes that throw their pixels away: no check, no checksum, nothing written. Every round
finds the machine as the first did, its pack removed.
"""

import multiprocessing
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import simplejpeg

from nevus.data.images import pack_side
from nevus.data.pack import pack_images
from photographs import write_jpegs
from result import conclude, finish, rates, show

NUM_IMAGES, COPIES, SIZE, WORKERS, ROUNDS = 800, 10, 224, 2, 5
OURS, PEER, GIB = "nevus pack", "bare decode + area resize", "1 GiB"
# One process packs, and says how much memory it and its workers took at most, MiB: the largest worker's counts for each.
PACK = f"""
import resource, sys
from pathlib import Path
from nevus.data.pack import pack_images
paths = sorted(Path(sys.argv[1]).glob("*.jpg"))[: int(sys.argv[3])]
pack_images(paths, {pack_side(SIZE)}, Path(sys.argv[2]))
own, workers = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print((own + {WORKERS} * workers) / 1024)
"""


def bare(paths: list[Path]) -> int:
    side = pack_side(SIZE)
    for path in paths:
        image = simplejpeg.decode_jpeg(path.read_bytes(), strict=True)
        height, width = image.shape[:2]
        scale = side / min(height, width)
        cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    return len(paths)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, multiprocessing.Pool(WORKERS, cv2.setNumThreads, (1,)) as pool:
        paths, origin = write_jpegs(Path(folder) / "images", NUM_IMAGES, COPIES)
        packs = Path(folder) / "packs"

        def ours() -> None:
            pack_images(paths, pack_side(SIZE), packs)

        def peer() -> None:
            pool.map(bare, [paths[start : start + 32] for start in range(0, len(paths), 32)], chunksize=1)

        contenders: dict[str, tuple[int, Callable[[], object]]] = {OURS: (len(paths), ours), PEER: (len(paths), peer)}
        measured = rates(contenders, ROUNDS, partial(shutil.rmtree, packs, ignore_errors=True))
        memory = {}
        for share in (8, 1):
            words = [f"{folder}/images", f"{folder}/packs-{share}", str(len(paths) // share)]
            done = subprocess.run([sys.executable, "-c", PACK, *words], check=True, capture_output=True, text=True)
            memory[f"{len(paths) // share} images"] = float(done.stdout)
    show(f"packing {len(paths)} images, {origin}, with the start of its processes", "images/s", measured)
    conclude("packing", measured, ours=OURS, peer=PEER, bar=0.85, unit="images/s")
    show("packing: peak resident memory of all its processes", "MiB", memory)
    largest = max(memory, key=memory.__getitem__)
    bar = {**memory, GIB: 1024.0}
    conclude("packing_memory", bar, ours=largest, peer=GIB, bar=1.0, unit="MiB", lower_is_better=True)
    finish()


if __name__ == "__main__":
    main()
