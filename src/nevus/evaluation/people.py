"""Who the images show: bands of age, sex, body site and where else they differ, as the evaluation and its report divide them."""

import numpy as np
import pandas as pd

Values = tuple["pd.Series[str]", tuple[str, ...]]

AGES = (0, 20, 40, 60, 80, np.inf)
AGE_NAMES = ("under 20", "20 to 39", "40 to 59", "60 to 79", "80 or more")
NOT_KNOWN = "not known"


def people(frame: pd.DataFrame) -> dict[str, Values]:
    """For age, sex and site, where the column is there: `divided` by it."""
    columns = {"age": "age_years", "sex": "sex", "site": "site"}
    return {name: divided(frame, column) for name, column in columns.items() if column in frame}


def divided(frame: pd.DataFrame, column: str) -> Values:
    """Each row's value, and all values in order, "not known" last: ages in bands from young to old, others by number of images.

    >>> values, order = divided(pd.DataFrame({"age_years": [19.0, 20.0, float("nan")]}), "age_years")
    >>> list(values), order[-2:]
    (['under 20', '20 to 39', 'not known'], ('80 or more', 'not known'))
    """
    if column == "age_years":
        ages = pd.cut(frame[column].astype(float), list(AGES), right=False, labels=list(AGE_NAMES))
        return ages.astype(object).fillna(NOT_KNOWN), (*AGE_NAMES, NOT_KNOWN)
    values = frame[column].fillna("").astype(str).replace("", NOT_KNOWN)
    known = [str(name) for name in values.value_counts().index if name != NOT_KNOWN]
    return values, (*known, NOT_KNOWN)
