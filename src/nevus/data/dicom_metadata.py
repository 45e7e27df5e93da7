"""What a DICOM file says of the patient and the lesion's place, as far as it can be said without guessing."""

import importlib
import io
import re
from typing import Any

from nevus.data import taxonomy

# A value of "Age String" (DICOM PS3.5, 6.2): 045Y, 018M, 006W, 010D.
_AGE = re.compile(r"(\d{3})([YMWD])")
_PER_YEAR = {"Y": 1.0, "M": 12.0, "W": 365.25 / 7, "D": 365.25}
_SEXES = {"F": "female", "M": "male"}


def dicom_metadata(content: bytes) -> dict[str, float | str]:
    """Any of `age_years`, `sex` and `site` from PatientAge, PatientSex and BodyPartExamined.

    What is missing or has no one meaning here is left out: an age of another form or beyond 120 years, the sex "O", the body part
    "SKIN". The file must be one that `decode_dicom` has read.
    """
    pydicom = importlib.import_module("pydicom")
    dataset = pydicom.dcmread(
        io.BytesIO(content), stop_before_pixels=True, specific_tags=["PatientAge", "PatientSex", "BodyPartExamined"]
    )
    found: dict[str, float | str] = {}
    age = _AGE.fullmatch(_text(dataset, "PatientAge"))
    if age and (years := round(int(age[1]) / _PER_YEAR[age[2]], 2)) <= 120:
        found["age_years"] = years
    if sex := _SEXES.get(_text(dataset, "PatientSex")):
        found["sex"] = sex
    if site := taxonomy.site(_text(dataset, "BodyPartExamined")):
        found["site"] = site
    return found


def _text(dataset: Any, name: str) -> str:
    try:
        return str(dataset.get(name) or "").strip()
    except Exception:  # a damaged element fails in pydicom wherever its bytes lead; the image itself could be read
        return ""
