"""The model that comes with nevus on real photographs: the reader's own, or a dozen of the ISIC Archive's."""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from nevus.data.cases import IMAGE_COLUMNS, Case, gather_cases, read_cases
from nevus.data.download import Plan, download
from nevus.data.download.record import RECORD
from nevus.errors import DataError, NevusError, listed
from nevus.predictor import Answer, Predictor
from nevus.predictor.shipped import shipped_bundle
from nevus.predictor.stream import Unreadable, predict_stream
from nevus.reports.answers_page import write_answers_page

NUM_IMAGES = 12
# The archive's collection that shares no photograph with HAM10000, which the model has seen.
SOURCE = "isic2020"
# What tables call the truth, the one that counts first where there are several.
_TRUTH_COLUMNS = ("diagnosis", "dx", "diagnosis_1", "benign_malignant")


def demo_real(out: Path, photos: Sequence[Path] = ()) -> Path:
    """Answer for photographs and write `out`/real.html, with the truth beside each answer where a table has it; its path.

    Parameters
    ----------
    out
        The folder of the page, and of the photographs that are fetched.
    photos
        Image files, folders, and tables as `nevus.data.cases.read_cases` takes them; without any, some of the ISIC Archive's
        are fetched.

    Raises
    ------
    DataError
        No photograph can be read, or what is given is not there.
    NevusError
        None is given and the archive cannot be reached.

    Examples
    --------
    >>> demo_real(Path("demo"), [Path("photos")])  # doctest: +SKIP
    PosixPath('demo/real.html')
    """
    if photos:
        cases, tables = gather_cases(photos), [path for path in photos if path.suffix.lower() == ".csv"]
    else:
        tables = [_fetched(out / SOURCE)]
        cases = read_cases(tables[0], out / SOURCE / "images")
    predictor = Predictor(shipped_bundle())
    answers: list[tuple[Case, Answer]] = []
    unreadable: list[str] = []
    found = (item for batch in predict_stream(predictor, cases) for item in batch)
    for case, item in zip(cases, found, strict=True):
        if isinstance(item, Unreadable):
            unreadable.append(item.error)
        else:
            answers.append((case, item))
    if not answers:
        raise DataError(listed(f"none of {len(cases)} photographs can be read:", unreadable))
    truths = {name: truth for table in tables for name, truth in _truths(table).items()}
    return write_answers_page(answers, predictor.bundle, out / "real.html", truths=truths, unreadable=unreadable)


def _fetched(folder: Path) -> Path:
    """The table of some photographs of the archive, in a folder that gets them unless it has them."""
    table = folder / "metadata.csv"
    if (folder / RECORD).exists():
        return table

    def said(plan: Plan) -> bool:
        print(plan.text(), file=sys.stderr)
        return True

    try:
        download(SOURCE, folder, max_images=NUM_IMAGES, confirm=said)
    except NevusError as error:
        raise type(error)(f"{error} For photographs of your own: nevus demo --real --images FOLDER.") from error
    return table


def _truths(table: Path) -> dict[str, str]:
    """What a table calls each image, by the stem of its file; empty where it does not say."""
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = rows[0].keys() if rows else ()
    image, truth = (next((name for name in names if name in columns), None) for names in (IMAGE_COLUMNS, _TRUTH_COLUMNS))
    return {Path(row[image]).stem: row[truth] for row in rows} if image and truth else {}
