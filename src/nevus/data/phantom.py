"""Phantom lesions: drawings that pass for poor photographs at a glance, for the demo and the tests.

The class shows in asymmetry, border, colour, diameter and structures; hair, rulers, vignettes, colour casts, blur and exposure
do not depend on it. Patients have several lesions and lesions several photos, so a split that ignores them leaks, as it does on
real data. Everything is a function of the seeds.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from nevus.data import artefacts
from nevus.data.images import Pixels
from nevus.data.lesions import LOOKS, Lesion
from nevus.data.manifest import COLUMNS, Manifest
from nevus.data.taxonomy import MALIGNANT, SEXES, SITES
from nevus.errors import NevusError
from nevus.files import write_json, writing

VERSION = 1
# How likely each nuisance is, and its largest severity.
_NUISANCES = {"hair": (0.35, 3.0), "bubbles": (0.15, 2.0), "ruler": (0.12, 4.0), "ink": (0.05, 2.0)}
_ALWAYS = {"vignette": 4.6, "colour_cast": 2.5, "exposure": 2.5, "blur": 2.5, "noise": 2.5}
_SHARES = {"nv": 0.34, "mel": 0.18, "bkl": 0.14, "bcc": 0.12, "akiec": 0.10, "df": 0.06, "vasc": 0.06}
_AGES = {"akiec": 68, "bcc": 66, "bkl": 62, "df": 48, "mel": 60, "nv": 43, "vasc": 50}
_SITES = {
    "akiec": (0.55, 0.10, 0.18, 0.14, 0.02, 0.01),
    "bcc": (0.45, 0.33, 0.11, 0.10, 0.0, 0.01),
    "bkl": (0.25, 0.42, 0.14, 0.17, 0.01, 0.01),
    "df": (0.03, 0.15, 0.22, 0.58, 0.01, 0.01),
    "mel": (0.15, 0.43, 0.20, 0.18, 0.03, 0.01),
    "nv": (0.08, 0.50, 0.16, 0.22, 0.03, 0.01),
    "vasc": (0.15, 0.48, 0.12, 0.22, 0.02, 0.01),
}
_FEMALE = {"akiec": 0.35, "bcc": 0.40, "bkl": 0.45, "df": 0.60, "mel": 0.42, "nv": 0.52, "vasc": 0.55}
_MISSING = 0.05


@dataclass(frozen=True)
class Plan:
    """What a set of phantoms is made from; equal plans give equal sets."""

    num_lesions: int
    seed: int = 0
    size: tuple[int, int] = (96, 128)
    shares: dict[str, float] = field(default_factory=lambda: dict(_SHARES))
    version: int = VERSION


def paint(diagnosis: str, lesion_seed: int, photo_seed: int, size: tuple[int, int] = (96, 128)) -> Pixels:
    """A photo of a lesion: uint8 RGB of `size` (height, width). Equal lesion seeds are the same lesion.

    >>> paint("mel", lesion_seed=1, photo_seed=2).shape
    (96, 128, 3)
    """
    lesion = Lesion.create(diagnosis, np.random.default_rng([VERSION, lesion_seed, sorted(LOOKS).index(diagnosis)]))
    rng = np.random.default_rng([VERSION, lesion_seed, photo_seed, 1])
    image = lesion.paint(rng, *size)
    for name, (chance, severity) in _NUISANCES.items():
        if rng.random() < chance:
            image = artefacts.ARTEFACTS[name](image, rng, rng.uniform(0.5, severity))
    for name, severity in _ALWAYS.items():
        image = artefacts.ARTEFACTS[name](image, rng, rng.uniform(0, severity))
    return image


def write_phantoms(
    folder: Path,
    *,
    num_lesions: int,
    seed: int = 0,
    size: tuple[int, int] = (96, 128),
    shares: dict[str, float] | None = None,
) -> Path:
    """Write images and manifest.csv into `folder` and return the manifest's path; an intact set of the same plan is kept.

    Parameters
    ----------
    folder
        Made where it is missing; images go to `folder`/images.
    num_lesions
        Lesions; most have one photo, some up to four, and a patient has one to three lesions.
    seed
        Another seed, another set.
    size
        Height and width of the images, pixels.
    shares
        The share of each diagnosis among the lesions.
    """
    plan = Plan(num_lesions, seed, size, shares or dict(_SHARES))
    manifest, record = folder / "manifest.csv", folder / "phantoms.json"
    table = _table(plan)
    same = record.exists() and json.loads(record.read_text()) == json.loads(json.dumps(asdict(plan)))
    if same and manifest.exists() and all((folder / name).is_file() for name in table["path"]):
        return manifest
    record.unlink(missing_ok=True)
    for row in table.to_dict("records"):
        image = paint(row["diagnosis"], row["lesion_seed"], row["photo_seed"], size)
        written, content = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
        if not written:
            raise NevusError(f"{folder / row['path']}: the phantom could not be encoded.")
        with writing(folder / row["path"]):
            (folder / row["path"]).parent.mkdir(parents=True, exist_ok=True)
            (folder / row["path"]).write_bytes(content)
    os.sync()  # once for all of them: the record, written last, is what says that they are there
    Manifest.build(table[[name for name in COLUMNS if name in table]], folder, manifest).write(manifest)
    write_json(record, asdict(plan))
    return manifest


def _table(plan: Plan) -> pd.DataFrame:
    """One row a photo: patients with lesions with photos, and metadata that goes with the diagnosis or is missing."""
    rng = np.random.default_rng([VERSION, plan.seed])
    diagnoses = _diagnoses(plan, rng)
    rows, patient, left = [], 0, 0
    for number, diagnosis in enumerate(diagnoses):
        if left == 0:
            patient, left = patient + 1, int(rng.choice([1, 2, 3], p=[0.7, 0.22, 0.08]))
            age = float(np.clip(np.rint(rng.normal(_AGES[diagnosis], 14) / 5) * 5, 5, 85))
            sex = SEXES[0] if rng.random() < _FEMALE[diagnosis] else SEXES[1]
            age_text = "" if rng.random() < _MISSING else str(age)
            sex_text = "" if rng.random() < _MISSING else sex
        left -= 1
        site = "" if rng.random() < _MISSING else SITES[rng.choice(len(SITES), p=_SITES[diagnosis])]
        for photo in range(int(rng.choice([1, 2, 3, 4], p=[0.62, 0.25, 0.09, 0.04]))):
            image_id = f"PH_{plan.seed:03d}{number:05d}{photo}"
            rows.append(
                {
                    "image_id": image_id,
                    "path": f"images/{image_id}.jpg",
                    "dataset": "phantom",
                    "diagnosis": diagnosis,
                    "target": str(int(diagnosis in MALIGNANT)),
                    "lesion_id": f"PL_{plan.seed:03d}{number:05d}",
                    "patient_id": f"PP_{plan.seed:03d}{patient:05d}",
                    "age_years": age_text,
                    "sex": sex_text,
                    "site": site,
                    "attribution": "nevus, phantom generator",
                    "license": "CC0-1.0",
                    "lesion_seed": plan.seed * 100_000 + number,
                    "photo_seed": photo,
                }
            )
    return pd.DataFrame(rows)


def _diagnoses(plan: Plan, rng: np.random.Generator) -> list[str]:
    """As many lesions of each diagnosis as its share asks, in random order."""
    names = list(plan.shares)
    exact = np.array([plan.shares[name] for name in names]) / sum(plan.shares.values()) * plan.num_lesions
    counts = np.floor(exact).astype(int)
    for index in np.argsort(-(exact - counts), kind="stable")[: plan.num_lesions - counts.sum()]:
        counts[index] += 1
    return [str(name) for name in rng.permutation(np.repeat(names, counts))]
