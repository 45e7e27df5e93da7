"""The verb that answers for images: one, a folder, a table, standard input, or thousands into a file."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nevus.cli.arguments import AsJson, Prevalence, print_json, read_prevalence
from nevus.errors import DataError, listed

if TYPE_CHECKING:
    from nevus.data.cases import Case
    from nevus.predictor import Answer, Predictor

# The most classes that are listed by name, and the least probability of any but the first.
_NUM_SHOWN, _LEAST_SHOWN = 3, 0.005
# From so many images on each core answers for its own; fewer are sooner done one by one by all of them.
_MANY = 32


def predict(
    images: Annotated[
        list[Path] | None,
        typer.Argument(help="image files, folders of them, a .csv of cases, or - for one image on standard input"),
    ] = None,
    bundle: Annotated[
        str | None,
        typer.Option(help="a bundle of your own, or one that comes with nevus by its name; by default the one that does"),
    ] = None,
    folder: Annotated[Path | None, typer.Option("--images", help="where the images of a .csv are")] = None,
    from_list: Annotated[Path | None, typer.Option(help="a file of paths, one a line; - for standard input")] = None,
    age: Annotated[float | None, typer.Option(min=0, max=120, help="the patient's age, years")] = None,
    sex: Annotated[str | None, typer.Option(help="female or male")] = None,
    site: Annotated[str | None, typer.Option(help="body site, as in back, scalp, lower extremity")] = None,
    masks: Annotated[
        Path | None, typer.Option(help="folder of the lesions' masks, NAME.png for NAME.jpg; for a model trained on crops")
    ] = None,
    operating_point: Annotated[
        str | None, typer.Option(help="another of the bundle's operating points, as in sensitivity:0.95; its card lists them")
    ] = None,
    prevalence: Prevalence = None,
    out: Annotated[Path | None, typer.Option(help="write the answers to this .csv or .jsonl; a killed run goes on")] = None,
    layout: Annotated[
        str | None, typer.Option(help="with --out, as an ISIC challenge takes it: isic2018, isic2019, isic2020 or isic2024")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Probabilities and a decision for each image, with any subset of the metadata or none."""
    from nevus.predictor import Predictor
    from nevus.predictor.shipped import find_bundle

    if layout and out is None:
        raise DataError(f"--layout {layout}: needs --out, the .csv to write.")
    cases = _cases(images or [], folder, from_list, age, sex, site)
    stated = read_prevalence(prevalence)
    predictor = Predictor(find_bundle(bundle), operating_point=operating_point, prevalence=stated, many=len(cases) >= _MANY)
    _say_what_it_lacks(predictor)
    cases = _cropped(cases, masks, predictor) if masks else cases
    if out:
        unreadable = _write(predictor, cases, out, layout, {"operating_point": operating_point, "prevalence": stated}, as_json)
        rest = f"The answers for the others are in {out}."
    else:
        unreadable = _show(predictor, cases, as_json)
        rest = "The others are answered." if len(unreadable) < len(cases) else ""
    if not as_json:
        typer.echo("Not a medical device and not for diagnosis.", err=True)
    if unreadable:
        header = f"{len(unreadable)} of {len(cases)} images cannot be read:"
        raise DataError(listed(header, unreadable, remedy=rest, limit=len(unreadable)) if len(cases) > 1 else unreadable[0])


def _cases(
    images: list[Path], folder: Path | None, from_list: Path | None, age: float | None, sex: str | None, site: str | None
) -> "list[Case]":
    """What is asked for; the command's words count for images of which their table says nothing."""
    from dataclasses import replace

    from nevus.data.cases import gather_cases, read_list

    if not images and not from_list:
        raise DataError("nothing to read. Give images, folders, a .csv, - or --from-list.")
    known = {"age_years": age, "sex": _understood("sex", sex), "site": _understood("site", site)}
    cases = [*gather_cases(images, folder), *(read_list(from_list) if from_list else ())]
    if all(value in (None, "") for value in known.values()):
        return cases
    return [
        replace(case, **{name: value for name, value in known.items() if getattr(case, name) in (None, "")}) for case in cases
    ]


def _understood(field: str, text: str | None) -> str:
    """A word of the taxonomy, or an error: a site that was given and silently ignored would be worse than none."""
    from nevus.data.cases import read_field

    try:
        return str(read_field(field, text or "") or "")
    except ValueError as error:
        raise DataError(f"--{field} {text!r}: {error}.") from error


def _cropped(cases: "Sequence[Case]", masks: Path, predictor: "Predictor") -> "list[Case]":
    from dataclasses import replace

    from nevus.data.containers import container_of
    from nevus.data.masks import crop_paths

    paths = [case.image for case in cases]
    names = [inside[1] if (inside := container_of(path)) else path.stem for path in paths]
    parts = crop_paths(paths, names, masks, predictor.crop_margin)
    return [replace(case, image=part) for case, part in zip(cases, parts, strict=True)]


def _say_what_it_lacks(predictor: "Predictor") -> None:
    sets = predictor.bundle.document["conformal"]
    if sets["decides"] is None:
        typer.echo(f"This bundle cannot tell which classes are ruled out: {sets['reason']}.", err=True)


def _write(
    predictor: "Predictor", cases: "Sequence[Case]", out: Path, layout: str | None, asked: dict[str, Any], as_json: bool
) -> Sequence[str]:
    from nevus.predictor.answer_file import write_answers
    from nevus.progress import CountProgress

    with CountProgress("predicting", "images") as progress:
        written = write_answers(predictor, cases, out, asked, layout=layout, report=progress)
    for note in written.notes:
        typer.echo(note, err=True)
    if as_json:
        print_json({"out": str(out), "num_images": written.num_images, "unreadable": list(written.unreadable)})
    else:
        typer.echo(f"{out}: {written.num_images - len(written.unreadable):,} of {written.num_images:,} images answered.")
    return written.unreadable


def _show(predictor: "Predictor", cases: "Sequence[Case]", as_json: bool) -> list[str]:
    """Print the answers, as they come or as one document; what is wrong with the images that have none."""
    from nevus.predictor.stream import Unreadable, predict_stream

    unreadable: list[str] = []

    def answers() -> "Iterator[Answer]":
        for batch in predict_stream(predictor, cases):
            for item in batch:
                if isinstance(item, Unreadable):
                    unreadable.append(item.error)
                else:
                    yield item

    if as_json:
        if found := [answer.to_json() for answer in answers()]:
            print_json(found)
    else:
        for answer in answers():
            typer.echo(_describe(answer))
    return unreadable


def _describe(answer: "Answer") -> str:
    said: dict[str, str | list[str]] = {
        "decision": _decision(answer),
        "because": answer.reasons,
        "probable": _ranked(answer.probabilities),
        "before the prevalence": _ranked(answer.unshifted) if answer.unshifted else [],
        "malignant in all": f"{answer.malignant_probability:.1%}",
        "not ruled out": ", ".join(map(_named, answer.prediction_set)) if answer.prediction_set else [],
        "from the file": [f"{name} {value}" for name, value in (answer.metadata_from_file or {}).items()],
    }
    lines = [answer.image]
    for title, content in said.items():
        for number, text in enumerate([content] if isinstance(content, str) else content):
            lines.append(f"  {title + ':' if number == 0 else '':23}{text}")
    return "\n".join(lines)


def _decision(answer: "Answer") -> str:
    if answer.unlike:
        return f"refer, no diagnosis (the model says {answer.decision}, which means nothing here)"
    return f"{_named(answer.decision)}: {'have a doctor look' if answer.refer else 'no reason to refer'}"


def _named(name: str) -> str:
    from nevus.data.taxonomy import DIAGNOSIS_NAMES

    return f"{DIAGNOSIS_NAMES[name]} ({name})" if name in DIAGNOSIS_NAMES else name


def _ranked(probabilities: dict[str, float]) -> list[str]:
    """The most probable classes, a line each, and the rest together."""
    ranked = sorted(probabilities.items(), key=lambda item: -item[1])
    shown = [item for item in ranked[:_NUM_SHOWN] if item == ranked[0] or item[1] >= _LEAST_SHOWN]
    lines = [f"{probability:5.1%}  {_named(name)}" for name, probability in shown]
    rest = ranked[len(shown) :]
    return [*lines, f"{sum(probability for _, probability in rest):5.1%}  the other {len(rest)}"] if rest else lines
