"""Answers for any number of images, a batch at a time: decoded by threads ahead, the bad ones named and passed over."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nevus.data.cases import Case
from nevus.data.crops import split_crop
from nevus.data.dicom import is_dicom
from nevus.data.dicom_metadata import dicom_metadata
from nevus.data.images import Pixels, decode_reduced, read_bytes, read_reduced
from nevus.errors import NevusError
from nevus.predictor.answer import Answer

if TYPE_CHECKING:
    from nevus.predictor import Predictor

BATCH_SIZE = 32
# Photos of one thread's turn, where several answer at once: a batch has several turns.
_TURN = 8


@dataclass(frozen=True)
class Unreadable:
    """An image for which there is no answer, and why."""

    image: str
    error: str


@dataclass(frozen=True)
class _Read:
    case: Case
    pixels: Pixels
    from_file: Mapping[str, float | str]


def predict_stream(
    predictor: "Predictor", cases: Sequence[Case], *, start: int = 0, batch_size: int = BATCH_SIZE
) -> Iterator[list[Answer | Unreadable]]:
    """Answer for cases, a batch at a time and in their order; memory does not grow with their number.

    Parameters
    ----------
    cases
        For a bundle that was trained on crops their paths are as `nevus.data.masks.crop_paths` makes them.
    start
        The first case to answer for, a multiple of `batch_size`: an image's last digits may depend on its neighbours in a run of
        the graph, so that one that goes on must make the same batches. How many threads there are changes nothing.

    Examples
    --------
    >>> for batch in predict_stream(Predictor("bundle"), [Case(Path("a.jpg"), age_years=61)]):  # doctest: +SKIP
    ...     print(batch[0].decision)
    """
    predictor.check_crops([case.image for case in cases])
    # Two batches, so that one is begun while the other is waited for; or two turns of each thread.
    ahead = 2 * max(predictor.num_workers, -(-batch_size // _TURN))
    with ThreadPoolExecutor() as readers, ThreadPoolExecutor(predictor.num_workers) as answerers:
        turns: deque[Future[list[Answer | Unreadable]]] = deque()
        batches = [range(place, min(place + batch_size, len(cases)), _TURN) for place in range(start, len(cases), batch_size)]
        places = ((place, min(place + _TURN, batch.stop)) for batch in batches for place in batch)
        for batch in batches:
            while len(turns) < ahead and (turn := next(places, None)):
                reads = [readers.submit(_read, predictor, case) for case in cases[slice(*turn)]]
                turns.append(answerers.submit(_answers, predictor, reads))
            yield [item for _ in batch for item in turns.popleft().result()]


def _read(predictor: "Predictor", case: Case) -> _Read | Unreadable:
    name = split_crop(case.image)[0]
    try:
        if predictor.cropped:
            return _Read(case, read_reduced(case.image, predictor.side), {})
        content = read_bytes(case.image) if case.content is None else case.content
        pixels = decode_reduced(content, name, predictor.side)
        said = dicom_metadata(content) if is_dicom(content) else {}
    except NevusError as error:
        return Unreadable(name, str(error))
    # What the command or its table says counts before what the file says.
    from_file = {field: value for field, value in said.items() if getattr(case, field) in (None, "")}
    return _Read(replace(case, **from_file), pixels, from_file)  # type: ignore[arg-type]


def _answers(predictor: "Predictor", reads: "Sequence[Future[_Read | Unreadable]]") -> list[Answer | Unreadable]:
    batch = [future.result() for future in reads]
    read = [item for item in batch if isinstance(item, _Read)]
    if not read:
        return [item for item in batch if isinstance(item, Unreadable)]
    metadata: dict[str, Sequence[Any]] = {
        "age_years": [item.case.age_years for item in read],
        "sex": [item.case.sex for item in read],
        "site": [item.case.site for item in read],
    }
    outputs = predictor.outputs([item.pixels for item in read], metadata, cropped=predictor.cropped)
    answered = iter(zip(predictor.answers([item.case.image for item in read], outputs), read, strict=True))
    return [item if isinstance(item, Unreadable) else _described(*next(answered)) for item in batch]


def _described(answer: Answer, read: _Read) -> Answer:
    return replace(answer, metadata_from_file=dict(read.from_file)) if read.from_file else answer
