"""A file of answers for many images, which a kill at any moment does not harm: the same command goes on where it was.

While it runs, `OUT.part` grows by a line a batch; a line that a kill cut short is done again. `OUT.json` says what was asked, and
whoever asks for something else is refused. Only when all is answered `OUT` is written, whole, and the part removed; so an
interrupted run ends with the bytes of one that was not.
"""

import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from nevus.data.cases import Case
from nevus.errors import DataError, NevusError, listed
from nevus.files import replacing, write_json, writing
from nevus.predictor.layouts import check_layout, write_layout
from nevus.predictor.stream import BATCH_SIZE, Unreadable, predict_stream

if TYPE_CHECKING:
    from nevus.predictor import Predictor

_BEGIN = "Give another --out, or remove {names} to begin anew."


@dataclass(frozen=True)
class Written:
    """What was done: how many images there are, which of them could not be read and why, and what the layout leaves out."""

    num_images: int
    unreadable: tuple[str, ...]
    notes: tuple[str, ...] = ()


def write_answers(
    predictor: "Predictor",
    cases: Sequence[Case],
    out: Path | str,
    asked: dict[str, Any],
    *,
    layout: str | None = None,
    report: Callable[[int, int], None] = lambda done, of: None,
) -> Written:
    """Answer for all cases into `out`, going on where an earlier run of the same request stopped.

    Parameters
    ----------
    out
        A .csv (a row an image; see `nevus.predictor.layouts`) or .jsonl (an object an image).
    asked
        What else decides the answers, to be compared with what an earlier run was asked: JSON values by name.
    layout
        An ISIC challenge's, in place of our own columns.
    report
        Called with (done, all) after each batch.

    Raises
    ------
    DataError
        `out` is another request's or no file of ours, the layout has no place for a class, or an image that a challenge's
        layout needs cannot be read; the answers so far are kept.
    NevusError
        Another process is writing it, or the disk is full.

    Examples
    --------
    >>> write_answers(Predictor("bundle"), read_cases("cases.csv"), "answers.csv", {})  # doctest: +SKIP
    Written(num_images=10000, unreadable=(), notes=())
    """
    out = Path(out)
    notes = check_layout(out, layout, cases, predictor.bundle)
    part, state = (out.with_name(out.name + ending) for ending in (".part", ".json"))
    whole = {**asked, "layout": layout, **_request(predictor, cases)}
    earlier = _earlier(out, state)
    if earlier is None:
        with writing(out):
            out.parent.mkdir(parents=True, exist_ok=True)
        write_json(state, {"asked": whole, "unreadable": []})
    else:
        _check_same(earlier["asked"], whole, out, part, state)
        if out.exists() and not part.exists():
            return Written(len(cases), tuple(earlier["unreadable"]), notes)
    with writing(out), part.open("a+b") as file:
        _lock(file, out)
        done = _kept(file, len(cases))
        report(done, len(cases))
        for batch in predict_stream(predictor, cases, start=done):
            file.write(json.dumps([_record(item) for item in batch], allow_nan=False).encode() + b"\n")
            file.flush()
            done += len(batch)
            report(done, len(cases))
        unreadable = [record["error"] for record in _records(file) if "error" in record]
        if layout and unreadable:
            remedy = "A submission needs every image: nothing was written. Mend or replace them and give the same command again."
            header = f"{out}: {len(unreadable)} of {len(cases)} images cannot be read:"
            raise DataError(listed(header, unreadable, remedy=remedy, limit=len(unreadable)))
        write_json(state, {"asked": whole, "unreadable": unreadable})
        with replacing(out) as beside, beside.open("w", encoding="utf-8", newline="") as final:
            write_layout(final, _records(file), out, layout, predictor.bundle)
        part.unlink(missing_ok=True)
    return Written(len(cases), tuple(unreadable), notes)


def _request(predictor: "Predictor", cases: Sequence[Case]) -> dict[str, Any]:
    digest = hashlib.sha256()
    for case in cases:
        digest.update(repr((str(case.image), case.age_years, case.sex, case.site)).encode() + b"\n")
    return {
        "bundle": predictor.bundle.document["checksum"],
        "num_images": len(cases),
        "images_and_metadata": digest.hexdigest(),
        "batch_size": BATCH_SIZE,
    }


def _earlier(out: Path, state: Path) -> dict[str, Any] | None:
    """What an earlier run wrote of itself; None where there was none."""
    if not state.exists():
        if out.exists():
            raise DataError(f"{out}: is there already, and not from nevus predict. Give another --out; nothing was changed.")
        return None
    try:
        document = json.loads(state.read_text(encoding="utf-8"))
        if isinstance(document["asked"], dict) and isinstance(document["unreadable"], list):
            return dict(document)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise DataError(f"{state}: is there already, and does not say what {out.name} was asked for. Give another --out.")


def _check_same(earlier: dict[str, Any], now: dict[str, Any], out: Path, part: Path, state: Path) -> None:
    differ = [name for name in now if earlier.get(name) != now[name]]
    if differ:
        problems = [f"{name.replace('_', ' ')}: {_short(earlier.get(name))}, now {_short(now[name])}" for name in differ]
        names = ", ".join(path.name for path in (out, part, state) if path.exists())
        raise DataError(listed(f"{out}: was begun for something else:", problems, remedy=_BEGIN.format(names=names)))


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return f"{text[:12]}…" if len(text) == 64 else text


def _lock(file: IO[bytes], out: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise NevusError(f"{out}: another nevus is writing it. Wait for it, or give another --out.") from error


def _kept(file: IO[bytes], num_cases: int) -> int:
    """How many cases the whole lines answer; what is behind them is cut off.

    Where all are answered, an earlier run ended with images that could not be read: those are tried again, from the first on.
    """
    file.seek(0)
    done = end = 0
    first_error: tuple[int, int] | None = None
    for line in file:
        records = _whole(line)
        if records is None:
            break
        if first_error is None and any("error" in record for record in records):
            first_error = done, end
        done, end = done + len(records), end + len(line)
    if done >= num_cases and first_error:
        done, end = first_error
    file.truncate(end)
    return done


def _whole(line: bytes) -> list[dict[str, Any]] | None:
    try:
        records = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return records if isinstance(records, list) else None


def _records(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    file.seek(0)
    for line in file:
        yield from json.loads(line)


def _record(item: Any) -> dict[str, Any]:
    return {"image": item.image, "error": item.error} if isinstance(item, Unreadable) else item.to_json()
