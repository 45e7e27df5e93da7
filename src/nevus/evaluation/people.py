"""Who the images show: bands of age, sex and body site, as the evaluation and its report divide them."""

import numpy as np
import pandas as pd

AGES = (0, 20, 40, 60, 80, np.inf)
AGE_NAMES = ("under 20", "20 to 39", "40 to 59", "60 to 79", "80 or more")
NOT_KNOWN = "not known"


def people(frame: pd.DataFrame) -> dict[str, tuple["pd.Series[str]", tuple[str, ...]]]:
    """For age, sex and site, where the column is there: each row's value, and all values in order, "not known" last.

    Ages go from young to old, sexes and sites from the most images to the least.
    """
    parts: dict[str, tuple[pd.Series[str], tuple[str, ...]]] = {}
    if "age_years" in frame:
        ages = pd.cut(frame["age_years"].astype(float), list(AGES), right=False, labels=list(AGE_NAMES))
        parts["age"] = (ages.astype(object).fillna(NOT_KNOWN), (*AGE_NAMES, NOT_KNOWN))
    for column in ("sex", "site"):
        if column in frame:
            values = frame[column].fillna("").replace("", NOT_KNOWN)
            known = [str(name) for name in values.value_counts().index if name != NOT_KNOWN]
            parts[column] = (values, (*known, NOT_KNOWN))
    return parts
