"""What the benchmarks read: JPEGs of 600×450, real ones upsampled where they are at hand, else phantoms."""

import os
from pathlib import Path

import cv2
import numpy as np

from nevus.data.metadata import MetadataEncoder
from nevus.data.pack import Pack
from nevus.data.phantom import paint
from nevus.recipe import Recipe
from nevus.training.loader import Examples

WIDTH, HEIGHT = 600, 450


def originals(num_images: int | None = None) -> list[Path]:
    """HAM10000's images (`NEVUS_DATA`, or shared/data beside the checkout), none where they are not at hand."""
    data = Path(os.environ.get("NEVUS_DATA", Path(__file__).parents[2] / "shared" / "data"))
    return sorted((data / "ham10000" / "images").glob("*.jpg"))[:num_images]


def write_jpegs(folder: Path, num_images: int, copies: int = 1) -> tuple[list[Path], str]:
    """Write `num_images` JPEGs of quality 92 under `copies` names each, and say what they are."""
    real = originals(num_images)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:05d}.jpg" for number in range(num_images)]
    for number, path in enumerate(paths):
        if real:
            image = cv2.imread(str(real[number % len(real)]))
            assert image is not None
            image = cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
            # A sensor's grain: without it an upsampled photo is a smaller file, and decodes faster, than a real one.
            grain = np.random.default_rng(number).normal(0, 3, image.shape)
            image = np.clip(image + grain, 0, 255).astype(np.uint8)
        else:
            image = paint("mel", number, 0, (HEIGHT, WIDTH))[:, :, ::-1]
        cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 92])
    for copy in range(1, copies):
        for path in paths[:num_images]:
            paths.append(path.with_name(f"{copy}-{path.name}"))
            paths[-1].hardlink_to(path)
    return paths, "HAM10000 upsampled from 200×150" if real else "phantoms"


def examples_of(pack: Pack, recipe: Recipe) -> Examples:
    """The pack's images with targets 0 and 1 in turn, and nothing known of any patient."""
    columns = {"age_years": np.full(len(pack), np.nan), "sex": [""] * len(pack), "site": [""] * len(pack)}
    encoder = MetadataEncoder.fit(columns, recipe.data.metadata)
    return Examples(pack, np.arange(len(pack)) % 2, encoder, *encoder.encode(columns, len(pack)))
