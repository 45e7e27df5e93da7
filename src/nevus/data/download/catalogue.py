"""The sources that `nevus data download` knows: where each is, what it allows, whom to cite, and how large it is about.

Sizes are about: those of the challenges are their pages', of the zips there; those of HAM10000 and PAD-UFES-20 are sums of the
bytes that their repositories list. The exact ones are asked of the source before anything is fetched. Licences, sizes and
citations of the challenges: https://challenge.isic-archive.com/data/, whose text is `stade/core/templates/data/` of
https://github.com/ImageMarkup/stade (read at cf20329, May 2026). HAM10000: https://doi.org/10.7910/DVN/DBW86T. PAD-UFES-20:
https://doi.org/10.17632/zr7vgbcyr2.1. derm7pt: https://derm.cs.sfu.ca, https://github.com/jeremykawahara/derm7pt.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from nevus.errors import DataError, NotAvailableError

# The archive's three, from the most to the least permissive (`CopyrightLicense` in isic/core/models/base.py of
# https://github.com/ImageMarkup/isic).
LICENSES = ("CC-0", "CC-BY", "CC-BY-NC")
_HAM = (
    "Tschandl, Rosendahl, Kittler 2018: The HAM10000 dataset, a large collection of multi-source dermatoscopic images of common "
    "pigmented skin lesions. Sci. Data 5:180161, doi 10.1038/sdata.2018.161"
)
_CODELLA_2018 = (
    "Codella et al. 2019: Skin Lesion Analysis Toward Melanoma Detection 2018: A Challenge Hosted by the International Skin "
    "Imaging Collaboration (ISIC). arXiv:1902.03368"
)
_CODELLA_2017 = (
    "Codella et al. 2017: Skin Lesion Analysis Toward Melanoma Detection: A Challenge at the 2017 International Symposium on "
    "Biomedical Imaging (ISBI), Hosted by the International Skin Imaging Collaboration (ISIC). arXiv:1710.05006"
)
_BCN = "Hernández-Pérez et al. 2024: BCN20000: Dermoscopic lesions in the wild. Sci. Data 11:641"
_ISIC_2020 = (
    "International Skin Imaging Collaboration 2020: SIIM-ISIC 2020 Challenge Dataset, doi 10.34970/2020-ds01; Rotemberg et al. "
    "2021, Sci. Data 8:34, doi 10.1038/s41597-021-00815-z"
)
_ISIC_2024 = (
    "International Skin Imaging Collaboration 2024: SLICE-3D 2024 Challenge Dataset, doi 10.34970/2024-slice-3d (its permissive "
    "release: doi 10.34970/2024-slice-3d-permissive); descriptor: doi 10.1038/s41597-024-03743-w"
)
_PAD = (
    "Pacheco et al. 2020: PAD-UFES-20: A skin lesion dataset composed of patient data and clinical images collected from "
    "smartphones. Data in Brief 32:106221, doi 10.1016/j.dib.2020.106221; data: doi 10.17632/zr7vgbcyr2.1"
)
_DERM7PT = (
    "Kawahara, Daneshvar, Argenziano, Hamarneh 2018: Seven-Point Checklist and Skin Lesion Classification using Multi-Task "
    "Multi-Modal Neural Nets. IEEE J. Biomed. Health Inform., doi 10.1109/JBHI.2018.2824327"
)
Provider = Literal["dataverse", "isic", "challenge", "mendeley", "form"]


@dataclass(frozen=True)
class Source:
    """One data set.

    `license` is the licence of the whole; `by_image` says that each image has its own. `size` is about, in bytes; it and
    `num_images` are None where its page does not say. `key` is what its provider calls it. `note` is what a user must know, or
    do where a form stands before it.
    """

    name: str
    title: str
    provider: Provider
    key: str
    page: str
    license: str
    by_image: bool
    num_images: int | None
    size: int | None
    citation: str
    note: str = ""


_ALL = (
    Source(
        "ham10000",
        "HAM10000",
        "dataverse",
        "doi:10.7910/DVN/DBW86T",
        "https://doi.org/10.7910/DVN/DBW86T",
        "CC-BY-NC",
        False,
        10_015,
        2_770_000_000,
        _HAM,
    ),
    # The numbers of the archive's collections are those `isic collection list` prints: 66, 65 and 70.
    Source(
        "isic2018",
        "ISIC-2018, task 3, training",
        "isic",
        "66",
        "https://challenge.isic-archive.com/data/#2018",
        "CC-BY-NC",
        True,
        10_015,
        2_600_000_000,
        f"{_HAM}; {_CODELLA_2018}",
    ),
    Source(
        "isic2019",
        "ISIC-2019, training",
        "isic",
        "65",
        "https://challenge.isic-archive.com/data/#2019",
        "CC-BY-NC",
        True,
        25_331,
        9_100_000_000,
        f"{_HAM}; {_CODELLA_2017}; {_BCN}",
        "These are the archive's own files; the challenge's zip holds 2,074 of them made smaller (`_downsampled`).",
    ),
    Source(
        "isic2020",
        "ISIC-2020 (SIIM-ISIC), training",
        "isic",
        "70",
        "https://challenge.isic-archive.com/data/#2020",
        "CC-BY-NC",
        True,
        33_126,
        23_000_000_000,
        _ISIC_2020,
    ),
    Source(
        "isic2024",
        "ISIC-2024 (SLICE-3D), training",
        "challenge",
        "2024",
        "https://challenge.isic-archive.com/data/#2024",
        "CC-BY-NC",
        True,
        401_059,
        1_250_000_000,
        _ISIC_2024,
        "With --license CC-BY it is the permissive release, 217,477 images, about 650 MB. The HDF5 file of the Kaggle "
        "competition needs an account there: accept its rules, then kaggle competitions download -c isic-2024-challenge.",
    ),
    Source(
        "pad-ufes-20",
        "PAD-UFES-20",
        "mendeley",
        "zr7vgbcyr2",
        "https://data.mendeley.com/datasets/zr7vgbcyr2/1",
        "CC-BY",
        False,
        2_298,
        3_590_000_000,
        _PAD,
        "Photos from smartphones, not dermoscopy.",
    ),
    Source(
        "derm7pt",
        "derm7pt (seven-point checklist)",
        "form",
        "",
        "https://derm.cs.sfu.ca/Download.html",
        "its own; read it on the page",
        False,
        None,
        None,
        _DERM7PT,
        "1. Open https://derm.cs.sfu.ca/Download.html, read the licence and fill in the form.\n"
        "2. A user name and a password come by e-mail; fetch release_v0.zip with them and unpack it.\n"
        "3. release_v0/meta/meta.csv has a row a case, with the names of its dermoscopic and its clinical photo. Write a table "
        "with the columns isic_id, diagnosis, sex of the photos you want, and read it with nevus prepare --source isic-archive.",
    ),
)
SOURCES = {source.name: source for source in _ALL}


def choose(name: str) -> Source:
    """The source of this name.

    Raises
    ------
    DataError
        There is none.
    NotAvailableError
        A form or a login stands before it; the message says what to do.
    """
    if name not in SOURCES:
        raise DataError(f"{name}: there is no such source. Choose one of {', '.join(SOURCES)}.")
    source = SOURCES[name]
    if source.provider == "form":
        raise NotAvailableError(f"{name} cannot be fetched by a program: a form stands before it.\n{describe(source)}")
    return source


def choose_licenses(source: Source, asked: Sequence[str] | None) -> frozenset[str] | None:
    """The licences that images may have, None for any; a source with one licence is accepted or refused as a whole.

    >>> sorted(choose_licenses(SOURCES["isic2019"], ["cc0,CC-BY"]))
    ['CC-0', 'CC-BY']

    Raises
    ------
    DataError
        A licence is not known, or the source has nothing under those asked for.
    """
    if not asked:
        return None
    known = {name.replace("-", ""): name for name in LICENSES}
    names = [name for text in asked for name in text.split(",")]
    plain = {text: known.get(text.strip().upper().replace("-", "").replace(" ", "").removesuffix("4.0")) for text in names}
    if wrong := [text for text, name in plain.items() if name is None]:
        raise DataError(f"--license {', '.join(wrong)}: expected some of {', '.join(LICENSES)}.")
    chosen = frozenset(name for name in plain.values() if name)
    allowed = LICENSES[1:] if source.provider == "challenge" else LICENSES if source.by_image else (source.license,)
    if not chosen & set(allowed):
        whole = "all of it is" if len(allowed) == 1 else "its images are"
        raise DataError(
            f"--license {', '.join(sorted(chosen))}: {source.name} has no such image; {whole} {' or '.join(allowed)}."
        )
    return chosen


def describe(source: Source) -> str:
    """Title, size, licence and citation, to be read before anything is fetched.

    >>> print(describe(SOURCES["pad-ufes-20"]).splitlines()[0])
    PAD-UFES-20: 2,298 images, about 3.6 GB
    """
    size = f"about {show_bytes(source.size)}" if source.size else "size not published"
    own = "; each image has its own, shown below" if source.by_image and source.provider == "isic" else ""
    images = f"{source.num_images:,} images" if source.num_images else "number of images not published"
    lines = [
        f"{source.title}: {images}, {size}",
        f"licence: {source.license}{own}",
        f"from: {source.page}",
        f"cite: {source.citation}",
    ]
    return "\n".join([*lines, source.note] if source.note else lines)


def show_bytes(num_bytes: float) -> str:
    """A size for people, in powers of 1,000.

    >>> show_bytes(690_218), show_bytes(999), show_bytes(23e9)
    ('690.2 kB', '999 B', '23.0 GB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if num_bytes < 1000:
            return f"{num_bytes:.0f} B" if unit == "B" else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.1f} TB"


def show_licenses(counts: Iterable[tuple[str, int]]) -> str:
    """Licences with their counts, in one line."""
    return ", ".join(f"{name} {count:,}" for name, count in counts)
