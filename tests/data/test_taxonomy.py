"""Every vocabulary of the field, worked out by hand: a wrong diagnosis is the worst thing a table can become."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nevus.data.taxonomy import DIAGNOSES, DIAGNOSIS_NAMES, MALIGNANT, SEXES, SITES, diagnosis, malignant, map_column, sex, site

UNKNOWN = ["", " ", "unknown", "Unknown", "UNK", "nan", "NaN", "None", "N/A"]

HAM_DX = {"akiec": "akiec", "bcc": "bcc", "bkl": "bkl", "df": "df", "mel": "mel", "nv": "nv", "vasc": "vasc"}
ISIC_2018 = {"MEL": "mel", "NV": "nv", "BCC": "bcc", "AKIEC": "akiec", "BKL": "bkl", "DF": "df", "VASC": "vasc"}
ISIC_2019 = {
    "MEL": "mel",
    "NV": "nv",
    "BCC": "bcc",
    "AK": "akiec",
    "BKL": "bkl",
    "DF": "df",
    "VASC": "vasc",
    "SCC": "scc",
    "UNK": "",
}
ISIC_2020 = {
    "unknown": "",
    "nevus": "nv",
    "melanoma": "mel",
    "seborrheic keratosis": "bkl",
    "lentigo NOS": "bkl",
    "lichenoid keratosis": "bkl",
    "solar lentigo": "bkl",
    "cafe-au-lait macule": None,
    "atypical melanocytic proliferation": None,
}
OLDER_ARCHIVE = {
    "actinic keratosis": "akiec",
    "angiokeratoma": "vasc",
    "angioma": "vasc",
    "basal cell carcinoma": "bcc",
    "dermatofibroma": "df",
    "melanoma metastasis": "mel",
    "nevus spilus": "nv",
    "pigmented benign keratosis": "bkl",
    "pyogenic granuloma": "vasc",
    "squamous cell carcinoma": "scc",
    "vascular lesion": "vasc",
    "AIMP": None,
    "acrochordon": None,
    "adnexal tumor": None,
    "angiofibroma or fibrous papule": None,
    "atypical spitz tumor": None,
    "clear cell acanthoma": None,
    "ephelis": None,
    "epidermal nevus": None,
    "lentigo simplex": None,
    "merkel cell carcinoma": None,
    "mucosal melanosis": None,
    "neurofibroma": None,
    "other": None,
    "scar": None,
    "sebaceous hyperplasia": None,
    "verruca": None,
}
CLASS_NAMES = {
    "actinic keratoses and intraepithelial carcinoma": "akiec",
    "actinic_keratoses": "akiec",
    "Bowen's disease": "akiec",
    "basal_cell_carcinoma": "bcc",
    "benign_keratosis-like_lesions": "bkl",
    "Dermatofibroma": "df",
    "Melanoma": "mel",
    "Melanoma in situ": "mel",
    "Melanocytic nevus": "nv",
    "melanocytic_Nevi": "nv",
    "Nevus, Atypical": "nv",
    "Nevus, Dysplastic": "nv",
    "Squamous cell carcinoma": "scc",
    "Squamous cell carcinoma in situ, Bowen's disease": "akiec",
    "vascular lesions": "vasc",
}

EPIDERMAL = "Malignant:Malignant epidermal proliferations:"
FOLLICULAR = "Malignant:Malignant adnexal epithelial proliferations - Follicular:"
MELANOMA = "Malignant:Malignant melanocytic proliferations (Melanoma)"
MELANOCYTIC = "Benign:Benign melanocytic proliferations:"
KERATOSIS = "Benign:Benign epidermal proliferations:"
FIBROUS = "Benign:Benign soft tissue proliferations - Fibro-histiocytic:"
VASCULAR = "Benign:Benign soft tissue proliferations - Vascular"
FLAT = "Benign:Flat melanotic pigmentations - not melanocytic nevus:"
UNSURE = "Indeterminate:Indeterminate melanocytic proliferations:"
ARCHIVE = {
    "akiec": [
        "Indeterminate:Indeterminate epidermal proliferations:Solar or actinic keratosis",
        "Indeterminate:Indeterminate epidermal proliferations:Solar or actinic keratosis:Actinic keratosis, Bowenoid",
        "Indeterminate:Indeterminate epidermal proliferations:Solar or actinic keratosis:Actinic keratosis, Hypertrophic",
        EPIDERMAL + "Squamous cell carcinoma in situ",
        EPIDERMAL + "Squamous cell carcinoma in situ:Squamous cell carcinoma in situ, Bowens disease",
        EPIDERMAL + "Squamous cell carcinoma in situ:Squamous cell carcinoma in situ, Bowen's disease",
    ],
    "bcc": [
        FOLLICULAR + "Basal cell carcinoma",
        FOLLICULAR + "Basal cell carcinoma:Basal cell carcinoma, Nodular",
        FOLLICULAR + "Basal cell carcinoma:Basal cell carcinoma with sarcomatoid differentiation",
    ],
    "bkl": [
        KERATOSIS + "Lichen planus like keratosis",
        KERATOSIS + "Pigmented benign keratosis",
        KERATOSIS + "Seborrheic keratosis",
        KERATOSIS + "Seborrheic keratosis:Seborrheic keratosis, Clonal",
        KERATOSIS + "Solar lentigo",
        FLAT + "Lentigo NOS",
    ],
    "df": [FIBROUS + "Dermatofibroma", FIBROUS + "Dermatofibroma:Dermatofibroma, Atypical"],
    "mel": [
        MELANOMA,
        MELANOMA + ":Melanoma, NOS",
        MELANOMA + ":Melanoma in situ",
        MELANOMA + ":Melanoma in situ:Melanoma in situ, Lentigo maligna type",
        MELANOMA + ":Melanoma in situ:Melanoma in situ, associated with a nevus",
        MELANOMA + ":Melanoma Invasive:Melanoma Invasive, Arising in a congenital nevus",
        MELANOMA + ":Melanoma Invasive:Melanoma Invasive, Nevoid",
        MELANOMA + ":Melanoma Invasive:Melanoma Invasive, Blue nevus-like:Melanoma Invasive, originating from blue nevus",
        MELANOMA + ":Melanoma metastasis",
    ],
    "nv": [
        MELANOCYTIC + "Nevus",
        MELANOCYTIC + "Nevus:Blue nevus:Blue nevus, Cellular",
        MELANOCYTIC + "Nevus:Nevus, Atypical, Dysplastic, or Clark:Nevus, Atypical",
        MELANOCYTIC + "Nevus:Nevus, Congenital:Nevus, Congenital, by history",
        MELANOCYTIC + "Nevus:Nevus, NOS, Junctional",
        MELANOCYTIC + "Nevus:Nevus, Spitz",
        MELANOCYTIC + "Nevus:A nevus that the archive will name next year",
    ],
    "scc": [
        EPIDERMAL + "Squamous cell carcinoma, NOS",
        EPIDERMAL + "Squamous cell carcinoma, Invasive",
        EPIDERMAL + "Squamous cell carcinoma, Invasive:Squamous cell carcinoma, Invasive, Keratoacanthoma-type",
    ],
    "vasc": [
        VASCULAR,
        VASCULAR + ":Angiokeratoma",
        VASCULAR + ":Hemangioma",
        VASCULAR + ":Hemangioma:Hemangioma, Cherry",
        VASCULAR + ":Pyogenic granuloma",
    ],
}
NONE_OF_OURS = [
    "Benign",
    "Malignant",
    "Indeterminate",
    "Benign:Benign melanocytic proliferations",
    "Benign:Collision - Only benign proliferations",
    "Malignant:Collision - At least one malignant proliferation",
    "Malignant:Malignant epidermal proliferations",
    "Indeterminate:Indeterminate epidermal proliferations",
    "Indeterminate:Indeterminate epidermal proliferations:Solar or actinic cheilitis",
    "Benign:Benign adnexal epithelial proliferations - Follicular:Nevus comedonicus",
    "Benign:Benign adnexal epithelial proliferations - Sebaceous:Nevus sebaceus",
    "Benign:Benign soft tissue proliferations - Adipocytic:Lipomatous nevus",
    VASCULAR + ":Nevus anemicus",
    VASCULAR + ":Glomus tumor",
    "Malignant:Malignant soft tissue proliferations - Vascular",
    "Malignant:Malignant soft tissue proliferations - Vascular:Kaposi sarcoma",
    "Malignant:Malignant soft tissue proliferations - Vascular:Hemangioendothelioma",
    KERATOSIS + "Epidermal nevus",
    FIBROUS + "Fibroepithelial polyp",
    MELANOCYTIC + "Dermal melanocytosis:Nevus of Ota",
    MELANOCYTIC + "Lentigo simplex",
    MELANOCYTIC + "Proliferative nodule in congenital melanocytic nevi without atypia",
    FLAT + "Ephelis",
    FLAT + "Ink-spot lentigo",
    UNSURE + "Atypical Spitz tumor",
    UNSURE + "Atypical proliferative nodules in congenital melanocytic nevus",
    UNSURE + "Melanocytic tumor of uncertain malignant potential",
    EPIDERMAL + "Bowenoid papulosis",
    EPIDERMAL + "Keratoacanthoma",
    FOLLICULAR + "Baso-squamous carcinoma",
    "Malignant:Merkel cell proliferation:Merkel cell carcinoma",
]
LOOK_ALIKES = [
    "Melanocytic tumor",
    "Melanoma?",
    "melanoma excluded",
    "melanoma-like nevus",
    "no melanoma",
    "non-melanoma",
    "non-melanoma skin cancer",
    "not melanoma",
    "nevus vs melanoma",
    "nevus, rule out melanoma",
    "nevus sebaceus",
    "nevus flammeus",
    "vascular invasion",
    "bowenoid",
    "squamous cell carcinoma, in situ",
    "squamous cell carcinoma vs keratoacanthoma",
    "dermatofibroma or melanoma",
    "dermatofibrosarcoma protuberans",
    "dermatofibroma protuberans",
    "basal cell carcinoma excluded",
    "hemangiosarcoma",
    "hemangioma-like",
    "lentigo maligna",
    "lentigo",
    "keratosis",
    "carcinoma",
    "benign",
    "0",
    "7",
    "acne",
]

HAM_LOCALIZATION = {
    "abdomen": "torso",
    "acral": "palms/soles",
    "back": "torso",
    "chest": "torso",
    "ear": "head/neck",
    "face": "head/neck",
    "foot": "lower extremity",
    "genital": "oral/genital",
    "hand": "upper extremity",
    "lower extremity": "lower extremity",
    "neck": "head/neck",
    "scalp": "head/neck",
    "trunk": "torso",
    "unknown": "",
    "upper extremity": "upper extremity",
}
ISIC_2019_SITE = {
    "anterior torso": "torso",
    "head/neck": "head/neck",
    "lateral torso": "torso",
    "lower extremity": "lower extremity",
    "oral/genital": "oral/genital",
    "palms/soles": "palms/soles",
    "posterior torso": "torso",
    "upper extremity": "upper extremity",
}
ISIC_2020_SITE = {
    "head/neck": "head/neck",
    "lower extremity": "lower extremity",
    "oral/genital": "oral/genital",
    "palms/soles": "palms/soles",
    "torso": "torso",
    "upper extremity": "upper extremity",
    "": "",
}
ARCHIVE_SITE = {
    "Head and neck": "head/neck",
    "Head and neck:Head:Scalp": "head/neck",
    "Head and neck:Head:Face:Nose:Nostril": "head/neck",
    "Head and neck:Head:Face:Oral region:Lower lip": "head/neck",
    "Head and neck:Head:Face:Mouth": "oral/genital",
    "Head and neck:Head:Face:Mouth:Tongue": "oral/genital",
    "Head and neck:Neck:Nape of neck": "head/neck",
    "Trunk": "torso",
    "Trunk:Anterior trunk:Anterior chest:Breast:Nipple": "torso",
    "Trunk:Lateral trunk:Axilla": "torso",
    "Trunk:Posterior trunk:Lower back": "torso",
    "Upper extremity": "upper extremity",
    "Upper extremity:Shoulder:Posterior shoulder": "upper extremity",
    "Upper extremity:Hand": "upper extremity",
    "Upper extremity:Hand:Dorsum of hand:Knuckles": "upper extremity",
    "Upper extremity:Hand:Palm of hand": "palms/soles",
    "Upper extremity:Hand:Palm of hand:Thenar eminence": "palms/soles",
    "Lower extremity": "lower extremity",
    "Lower extremity:Buttock:Gluteal fold": "lower extremity",
    "Lower extremity:Foot:Toes:Great toe": "lower extremity",
    "Lower extremity:Foot:Sole of foot": "palms/soles",
    "Lower extremity:Foot:Sole of foot:Heel": "palms/soles",
    "Anogenital region": "oral/genital",
    "Anogenital region:Perianal region:Anus": "oral/genital",
    "Anogenital region:Genital region:Penis:Glans penis": "oral/genital",
    "acral palms or soles": "palms/soles",
    "oral or genital": "oral/genital",
    "acral NOS": None,
    "nail NOS": None,
    "fingernail": None,
    "toenail": None,
}


@pytest.mark.parametrize(
    "vocabulary",
    [HAM_DX, ISIC_2018, ISIC_2019, ISIC_2020, OLDER_ARCHIVE, CLASS_NAMES],
    ids=["ham10000", "2018", "2019", "2020", "older archive", "class names"],
)
def test_every_diagnosis_of_a_vocabulary_is_the_one_meant(vocabulary: dict[str, str | None]) -> None:
    assert {text: diagnosis(text) for text in vocabulary} == vocabulary


@pytest.mark.parametrize("code", list(ARCHIVE))
def test_the_archives_hierarchy_of_diagnoses(code: str) -> None:
    assert {text: diagnosis(text) for text in ARCHIVE[code]} == dict.fromkeys(ARCHIVE[code], code)
    with_other_separator = [text.replace(":", "::") for text in ARCHIVE[code]]
    with_empty_levels = [f"{text}::" for text in ARCHIVE[code]]
    assert {diagnosis(text) for text in with_other_separator + with_empty_levels} == {code}


@pytest.mark.parametrize("text", NONE_OF_OURS + LOOK_ALIKES)
def test_what_only_looks_like_one_of_ours_is_not_guessed(text: str) -> None:
    assert diagnosis(text) is None


def test_a_diagnosis_agrees_with_the_archives_first_level() -> None:
    said = {(text.split(":")[0], code in MALIGNANT) for code, texts in ARCHIVE.items() for text in texts}
    assert said == {("Benign", False), ("Malignant", True), ("Indeterminate", True)}
    unsure = {code for code, texts in ARCHIVE.items() for text in texts if text.startswith("Indeterminate")}
    assert unsure == {"akiec"}


def test_our_own_words_are_understood_in_any_case() -> None:
    for mapping, words in ((diagnosis, DIAGNOSES), (site, SITES), (sex, SEXES)):
        assert [mapping(word) for word in words] == list(words)
        assert [mapping(f" {word.upper()}  ") for word in words] == list(words)
    assert {diagnosis(name): code for code, name in DIAGNOSIS_NAMES.items()} == {code: code for code in DIAGNOSES}
    assert set(DIAGNOSES) - MALIGNANT == {"bkl", "df", "nv", "vasc"}


@pytest.mark.parametrize(
    "vocabulary",
    [HAM_LOCALIZATION, ISIC_2019_SITE, ISIC_2020_SITE, ARCHIVE_SITE],
    ids=["ham10000", "2019", "2020", "archive"],
)
def test_every_site_of_a_vocabulary_is_the_one_meant(vocabulary: dict[str, str | None]) -> None:
    assert {text: site(text) for text in vocabulary} == vocabulary


@pytest.mark.parametrize("text", ["moon", "head", "extremity", "upper", "torso and legs", "left", "1"])
def test_a_site_that_says_too_little_is_not_understood(text: str) -> None:
    assert site(text) is None


def test_sexes() -> None:
    expected = {"female": "female", "F": "female", "male": "male", "Male": "male", "m": "male", "x": None, "0": None, "fm": None}
    assert {text: sex(text) for text in expected} == expected


def test_benign_malignant_and_what_lies_between() -> None:
    expected = {
        "benign": "0",
        "Malignant": "1",
        "0": "0",
        "1": "1",
        "0.0": "0",
        "1.0": "1",
        "Indeterminate": "",
        "indeterminate/malignant": None,
        "indeterminate/benign": None,
        "premalignant": None,
        "non-malignant": None,
        "0.5": None,
        "2": None,
        "-1": None,
    }
    assert {text: malignant(text) for text in expected} == expected


@pytest.mark.parametrize("mapping", [diagnosis, site, sex, malignant])
@pytest.mark.parametrize("text", UNKNOWN)
def test_unknown_is_the_empty_text(mapping: object, text: str) -> None:
    assert callable(mapping)
    assert mapping(text) == ""


def test_what_cannot_be_mapped_is_empty_and_counted() -> None:
    values = ["mel", "Melanocytic tumor", "unknown", "Nevus", "Melanocytic tumor", "acne", ""]
    mapped, unmapped = map_column(values, diagnosis)
    assert mapped == ["mel", "", "", "nv", "", "", ""]
    assert unmapped == Counter({"Melanocytic tumor": 2, "acne": 1})


@given(st.lists(st.sampled_from(["female", "M", "?", "", "unknown", "both"])))
def test_every_value_is_mapped_unknown_or_counted(values: list[str]) -> None:
    mapped, unmapped = map_column(values, sex)
    assert len(mapped) == len(values)
    assert unmapped == Counter(value for value in values if value in ("?", "both"))
    assert sum(word != "" for word in mapped) == sum(value in ("female", "M") for value in values)


@given(st.text("aeklmnosuv :,_/01é\t", max_size=30))
def test_any_text_gives_one_of_our_words_or_none(text: str) -> None:
    assert diagnosis(text) in (*DIAGNOSES, "", None)
    assert site(text) in (*SITES, "", None)
    assert sex(text) in (*SEXES, "", None)
    assert malignant(text) in ("0", "1", "", None)


@given(
    st.sampled_from([text for texts in ARCHIVE.values() for text in texts if text.count(":") >= 2]),
    st.text("aelmnsu ,-?()/", min_size=1, max_size=12),
)
def test_a_word_before_or_after_a_name_makes_it_another_name(text: str, word: str) -> None:
    finest = text.rpartition(":")[2]
    for other in (f"{finest} {word}x", f"x{word} {finest}"):
        assert diagnosis(other) is None
