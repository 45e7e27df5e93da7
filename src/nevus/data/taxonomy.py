"""One vocabulary for diagnoses, sites and sexes, and the way to it from every vocabulary of the field.

Unknown is the empty string. What a table says and no rule here maps is never dropped in silence: `map_column` returns it with
its count.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

DIAGNOSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc", "scc")
DIAGNOSIS_NAMES = {
    "akiec": "actinic keratosis or Bowen's disease",
    "bcc": "basal cell carcinoma",
    "bkl": "benign keratosis",
    "df": "dermatofibroma",
    "mel": "melanoma",
    "nv": "melanocytic nevus",
    "vasc": "vascular lesion",
    "scc": "squamous cell carcinoma",
}
MALIGNANT = frozenset({"akiec", "bcc", "mel", "scc"})
SEXES = ("female", "male")
SITES = ("head/neck", "torso", "upper extremity", "lower extremity", "palms/soles", "oral/genital")

_UNKNOWN = frozenset({"", "unknown", "unk", "nan", "none", "n/a", "na", "not specified", "other/unknown"})

_SEX = {"female": "female", "f": "female", "woman": "female", "male": "male", "m": "male", "man": "male"}

_SITE = {
    **{name: name for name in SITES},
    # HAM10000's `localization`
    "abdomen": "torso",
    "acral": "palms/soles",
    "back": "torso",
    "chest": "torso",
    "ear": "head/neck",
    "face": "head/neck",
    "foot": "lower extremity",
    "genital": "oral/genital",
    "hand": "upper extremity",
    "neck": "head/neck",
    "scalp": "head/neck",
    "trunk": "torso",
    # ISIC-2019's and the archive's `anatom_site_general`
    "anterior torso": "torso",
    "posterior torso": "torso",
    "lateral torso": "torso",
    # the archive's `anatom_site_1`, and the first part of its hierarchical texts
    "head and neck": "head/neck",
    "palms and soles": "palms/soles",
    "oral and genital": "oral/genital",
    "oral/genitalia": "oral/genital",
    "oral or genital": "oral/genital",
    "genitalia": "oral/genital",
    "arm": "upper extremity",
    "leg": "lower extremity",
    "shoulder": "upper extremity",
    "buttock": "lower extremity",
    "palm": "palms/soles",
    "palm of hand": "palms/soles",
    "sole": "palms/soles",
    "sole of foot": "palms/soles",
    "mouth": "oral/genital",
    "anogenital region": "oral/genital",
    # the archive's `anatom_site_special`
    "acral palms or soles": "palms/soles",
}

# The archive's fourth level below "Nevus". Lesions without melanocytes are called nevus too (sebaceus, comedonicus, anemicus), so
# a name that only begins so is not enough.
_NEVI = (
    "acral",
    "agminated",
    "atypical",
    "atypical, dysplastic, or clark",
    "balloon cell",
    "bap-1 deficient",
    "clark",
    "combined",
    "congenital",
    "deep penetrating",
    "dysplastic",
    "halo",
    "lentiginous",
    "meyerson",
    "nos, compound",
    "nos, dermal",
    "nos, junctional",
    "of special anatomic site",
    "recurrent or persistent",
    "reed",
    "spilus",
    "spitz",
)

_DIAGNOSIS = {
    **{name: name for name in DIAGNOSES},
    **{text.lower(): code for code, text in DIAGNOSIS_NAMES.items()},
    # ISIC-2019's and -2018's one-hot columns that differ from ours
    "ak": "akiec",
    # ISIC-2020's `diagnosis` and the archive's older one
    "nevus": "nv",
    "nevus spilus": "nv",
    "melanoma": "mel",
    "melanoma metastasis": "mel",
    "seborrheic keratosis": "bkl",
    "lentigo nos": "bkl",
    "lichenoid keratosis": "bkl",
    "solar lentigo": "bkl",
    "pigmented benign keratosis": "bkl",
    "actinic keratosis": "akiec",
    "solar or actinic keratosis": "akiec",
    "basal cell carcinoma": "bcc",
    "squamous cell carcinoma": "scc",
    "dermatofibroma": "df",
    "vascular lesion": "vasc",
    "angioma": "vasc",
    "hemangioma": "vasc",
    "angiokeratoma": "vasc",
    "pyogenic granuloma": "vasc",
    # The archive's `diagnosis_1..5` and ISIC-2024's `iddx_1..5`; a finer name that is not here counts as the level above it.
    **{f"nevus, {kind}": "nv" for kind in _NEVI},
    "blue nevus": "nv",
    "melanoma, nos": "mel",
    "melanoma in situ": "mel",
    "melanoma invasive": "mel",
    "squamous cell carcinoma, nos": "scc",
    "squamous cell carcinoma, invasive": "scc",
    "squamous cell carcinoma in situ": "akiec",
    "squamous cell carcinoma in situ, bowen's disease": "akiec",
    "squamous cell carcinoma in situ, bowens disease": "akiec",
    "bowen's disease": "akiec",
    "bowens disease": "akiec",
    "lichen planus like keratosis": "bkl",
    "vascular spider": "vasc",
    # Two groups of the second level say enough where nothing finer is known, as for HAM10000's vascular lesions.
    "benign:benign soft tissue proliferations - vascular": "vasc",
    "malignant:malignant melanocytic proliferations (melanoma)": "mel",
    # The seven classes as MedMNIST and folders of images call them
    "actinic keratoses": "akiec",
    "actinic keratoses and intraepithelial carcinoma": "akiec",
    "benign keratosis-like lesions": "bkl",
    "melanocytic nevi": "nv",
    "vascular lesions": "vasc",
}


_SKIN_TYPE = {
    spelling: name
    for number, name in enumerate(("I", "II", "III", "IV", "V", "VI"), start=1)
    for spelling in (name.lower(), str(number), f"type {name.lower()}", f"type {number}")
}


def is_unknown(text: str) -> bool:
    """Whether a table means by this text that it does not know.

    >>> is_unknown(" NaN"), is_unknown(""), is_unknown("0")
    (True, True, False)
    """
    return _plain(text) in _UNKNOWN


def sex(text: str) -> str | None:
    """Our word for a sex, "" where it is unknown, None where the text is not understood.

    >>> sex("Female"), sex("unknown"), sex("x")
    ('female', '', None)
    """
    return _look_up(text, _SEX)


def skin_type(text: str) -> str | None:
    """Fitzpatrick's skin type, "I" (burns, never tans) to "VI", "" where unknown, None where not understood.

    >>> skin_type("iii"), skin_type("Type 4"), skin_type(""), skin_type("VII")
    ('III', 'IV', '', None)
    """
    return _look_up(text, _SKIN_TYPE)


def site(text: str) -> str | None:
    """Our word for a body site, "" where unknown, None where not understood; hierarchical texts count from the finest level.

    >>> site("lower extremity"), site("Head and neck:Head:Scalp"), site("back"), site("moon")
    ('lower extremity', 'head/neck', 'torso', None)
    """
    return _finest(text, _SITE)


def diagnosis(text: str) -> str | None:
    """Our code for a diagnosis, "" where unknown, None where it is none of ours.

    >>> diagnosis("MEL"), diagnosis("Benign:Benign melanocytic proliferations:Nevus:Nevus, Atypical"), diagnosis("acne")
    ('mel', 'nv', None)
    """
    return _finest(text, _DIAGNOSIS)


def malignant(text: str) -> str | None:
    """ "1", "0" or "" for benign/malignant texts and 0/1 targets; None where not understood.

    >>> malignant("Malignant"), malignant("0"), malignant("Indeterminate"), malignant("maybe")
    ('1', '0', '', None)
    """
    known = {"malignant": "1", "benign": "0", "1": "1", "0": "0", "1.0": "1", "0.0": "0", "indeterminate": ""}
    return _look_up(text, known)


def map_column(values: Iterable[str], mapping: Callable[[str], str | None]) -> tuple[list[str], Counter[str]]:
    """Map each value; what is not understood becomes "" and is returned with its count.

    >>> map_column(["male", "?", "?"], sex)
    (['male', '', ''], Counter({'?': 2}))
    """
    unmapped: Counter[str] = Counter()
    cache: dict[str, str | None] = {}
    mapped = []
    for value in values:
        if value not in cache:
            cache[value] = mapping(value)
        result = cache[value]
        if result is None:
            unmapped[value] += 1
        mapped.append(result or "")
    return mapped, unmapped


def _plain(text: str) -> str:
    return " ".join(text.strip().lower().replace("_", " ").split())


def _look_up(text: str, known: Mapping[str, str]) -> str | None:
    plain = _plain(text)
    return "" if plain in _UNKNOWN else known.get(plain)


def _finest(text: str, known: Mapping[str, str]) -> str | None:
    """The whole text, else the parts of a hierarchical text from the finest to the coarsest."""
    parts = [part.strip() for part in text.split(":") if part.strip()]
    whole = _look_up(":".join(parts), known)
    if whole is not None:
        return whole
    return next((found for part in reversed(parts) if (found := _look_up(part, known))), None)
