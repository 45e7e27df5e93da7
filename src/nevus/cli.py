"""The command line: each verb parses its words, calls the function of its name, and prints.

With --json one document goes to standard output and nothing else; everything for people goes to standard error. Nothing heavy
is imported before a verb needs it.
"""

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nevus.errors import DataError, NevusError, RecipeError

if TYPE_CHECKING:
    from nevus.data.manifest import Manifest
    from nevus.predictor import Answer
    from nevus.recipe import Recipe

app = typer.Typer(
    help="Classify skin lesions from a dermoscopy image, age, sex and body site, and measure honestly how well. "
    "A research tool: not a medical device, not for diagnosis.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="a recipe's .toml file")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=C", help="change one setting of the recipe; repeatable")
]
ManifestPath = Annotated[Path | None, typer.Option("--manifest", help="the manifest; instead of the recipe's data.manifest")]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON document on standard output")]


@app.callback(invoke_without_command=True)
def _options(version: Annotated[bool, typer.Option("--version", help="print the version and stop")] = False) -> None:
    logging.basicConfig(stream=sys.stderr, format="nevus: %(message)s", level=logging.WARNING)
    if version:
        from importlib.metadata import version as installed

        typer.echo(installed("nevus"))
        raise typer.Exit


@app.command()
def prepare(
    source: Annotated[str, typer.Option(help="ham10000, isic2020, isic2018, isic2019, isic-archive or folders")],
    images: Annotated[list[Path], typer.Option(help="folder of the images, searched with its subfolders; repeatable")],
    out: Annotated[Path, typer.Option(help="the manifest to write, .csv or .parquet")],
    metadata: Annotated[Path | None, typer.Option(help="the source's table")] = None,
    lesions: Annotated[Path | None, typer.Option(help="isic2020: a table image_name,lesion_id that names duplicates")] = None,
    missing: Annotated[str, typer.Option(help="rows without an image file: error or drop")] = "error",
    as_json: AsJson = False,
) -> None:
    """Write the manifest of a data set: one row an image, checked."""
    from nevus.data.sources import prepare as prepare_source

    manifest = prepare_source(source, images=images, metadata=metadata, lesions=lesions, missing=missing)
    manifest.write(out)
    frame = manifest.frame
    summary = {
        "manifest": str(out),
        "num_images": len(frame),
        "num_groups": int(frame["group_id"].nunique()),
        "diagnoses": {str(name): int(count) for name, count in frame["diagnosis"].value_counts().items()},
        "num_malignant": int((frame["target"] == 1).sum()),
    }
    if as_json:
        _print_json(summary)
    else:
        counts = ", ".join(f"{name or 'unknown'} {count}" for name, count in summary["diagnoses"].items())  # type: ignore[attr-defined]
        typer.echo(
            f"{out}: {len(frame)} images in {summary['num_groups']} groups, {summary['num_malignant']} malignant; {counts}"
        )


@app.command()
def split(
    manifest: Annotated[Path, typer.Argument(help="the manifest")],
    out: Annotated[Path, typer.Option(help="the folds.csv to write")],
    task: Annotated[str, typer.Option(help="diagnosis or malignant")] = "diagnosis",
    protocol: Annotated[str, typer.Option(help="strict, paper-zoome, paper-2022 or paper-datta")] = "strict",
    num_folds: Annotated[int, typer.Option("--folds", help="2 to 20")] = 5,
    seed: Annotated[int, typer.Option(help="another seed, another split")] = 0,
    as_json: AsJson = False,
) -> None:
    """Assign every image of a manifest to a fold, under a named protocol."""
    from nevus.data.splits import label
    from nevus.data.splits import split as split_manifest
    from nevus.recipe import DataRecipe

    data = _checked(lambda: DataRecipe.model_validate({"task": task, "protocol": protocol, "num_folds": num_folds}))
    selected, _, _ = _manifest(manifest).for_task(data.task)
    folds = split_manifest(selected, task=data.task, protocol=data.protocol, num_folds=data.num_folds, seed=seed)
    folds.write(out)
    sizes = folds.frame["fold"].value_counts().sort_index()
    if as_json:
        num_images = {str(fold): int(size) for fold, size in sizes.items()}
        _print_json({"folds": str(out), "protocol": data.protocol, "num_images": num_images})
        return
    counts = ", ".join(f"{'never tested' if fold == -1 else f'fold {fold}'}: {count}" for fold, count in sizes.items())
    typer.echo(f"{out}: {label(data.protocol)}, {counts}")


@app.command()
def fit(
    recipe: RecipePath,
    out: Annotated[Path, typer.Option(help="folder for the checkpoints, the log and the bundle")],
    manifest: ManifestPath = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Train one model on all rows but a validation share, and write its bundle."""
    chosen, rows = _inputs(recipe, manifest, settings)
    _need_torch()
    from nevus.training.fit import fit as fit_recipe

    bundle = fit_recipe(chosen, rows, out)
    if as_json:
        _print_json({"bundle": str(bundle.path), "operating_point": bundle.document["operating_point"]})
    else:
        typer.echo(bundle.path)


@app.command("cross-validate")
def cross_validate(
    recipe: RecipePath,
    out: Annotated[Path, typer.Option(help="the run's folder; the same command goes on where it was stopped")],
    manifest: ManifestPath = None,
    settings: Settings = None,
    folds: Annotated[Path | None, typer.Option(help="use this folds.csv instead of splitting anew")] = None,
    only: Annotated[list[int] | None, typer.Option(help="run only this fold; repeatable")] = None,
    as_json: AsJson = False,
) -> None:
    """Train and test every fold of a recipe's protocol; write predictions, evaluation and report."""
    chosen, rows = _inputs(recipe, manifest, settings)
    _need_torch()
    from nevus.evaluation.cross_validate import cross_validate as run
    from nevus.evaluation.evaluate import evaluation_table
    from nevus.reports.page import write_report

    document = run(chosen, rows, out, only=only, folds=folds)
    page = write_report([out], out / "report.html")
    if as_json:
        _print_json(document)
    else:
        typer.echo(evaluation_table(document))
        typer.echo(f"\n{page}")


@app.command()
def evaluate(
    predictions: Annotated[Path, typer.Argument(help="a predictions.csv, of nevus or of any other program")],
    threshold: Annotated[float | None, typer.Option(help="operating point, instead of one chosen on validation rows")] = None,
    operating_point: Annotated[str, typer.Option(help="youden, or sensitivity:0.90")] = "youden",
    out: Annotated[Path | None, typer.Option(help="also write the document here")] = None,
    as_json: AsJson = False,
) -> None:
    """Figures with intervals from a predictions file."""
    from nevus.evaluation.evaluate import evaluate as evaluate_predictions
    from nevus.evaluation.evaluate import evaluation_table
    from nevus.files import sha256, write_json
    from nevus.provenance import provenance

    origin = {**provenance(), "predictions": str(predictions)}
    if predictions.is_file():
        origin["predictions_sha256"] = sha256(predictions)
    document = evaluate_predictions(predictions, threshold=threshold, operating_point=operating_point, provenance=origin)
    if out:
        write_json(out, document)
    if as_json:
        _print_json(document)
    else:
        typer.echo(evaluation_table(document))


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="folders that cross-validate wrote; several are set side by side")],
    out: Annotated[Path | None, typer.Option(help="the page to write; report.html in the first folder by default")] = None,
) -> None:
    """Write one self-contained HTML page about one run, or comparing several."""
    from nevus.reports.page import write_report

    typer.echo(write_report(runs, out or runs[0] / "report.html"))


@app.command()
def predict(
    images: Annotated[list[Path], typer.Argument(help="image files, or folders of them")],
    bundle: Annotated[Path, typer.Option(help="a bundle that fit or cross-validate wrote")],
    age: Annotated[float | None, typer.Option(min=0, max=120, help="the patient's age, years")] = None,
    sex: Annotated[str | None, typer.Option(help="female or male")] = None,
    site: Annotated[str | None, typer.Option(help="body site, as in back, scalp, lower extremity")] = None,
    as_json: AsJson = False,
) -> None:
    """Probabilities and a decision for each image, with any subset of the metadata or none."""
    from dataclasses import asdict

    from nevus.data import taxonomy
    from nevus.data.images import find_images
    from nevus.predictor import Predictor

    known = {"age_years": age, "sex": _understood("--sex", sex, taxonomy.sex), "site": _understood("--site", site, taxonomy.site)}
    paths = find_images(images)
    metadata = {name: [value] * len(paths) for name, value in known.items()}
    predictor = Predictor(bundle)
    answers = predictor.predict(paths, metadata)
    if as_json:
        _print_json([asdict(answer) for answer in answers])
        return
    for answer in answers:
        typer.echo(_describe(answer))
    typer.echo("Not a medical device and not for diagnosis.", err=True)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="folder for the phantoms, the runs and report.html")] = Path("demo"),
    open_page: Annotated[bool | None, typer.Option("--open/--no-open", help="open the report in a browser")] = None,
) -> None:
    """Train and cross-validate both systems on phantom lesions, under their papers' protocols and the strict one."""
    _need_torch()
    from nevus.demo import demo as run_demo

    page = run_demo(out)
    if open_page if open_page is not None else sys.stdout.isatty():
        typer.launch(page.resolve().as_uri())


def _inputs(path: Path, manifest: Path | None, settings: list[str] | None) -> "tuple[Recipe, Manifest]":
    from nevus.recipe import Recipe

    recipe = Recipe.read(path, settings or ())
    given = str(manifest or recipe.data.manifest)
    if not given:
        raise RecipeError(f"{path}: names no data.manifest. Give --manifest, as `nevus prepare` writes one.")
    return recipe.with_settings([f"data.manifest={json.dumps(given)}"]), _manifest(Path(given))


def _manifest(path: Path) -> "Manifest":
    from nevus.data.manifest import Manifest

    return Manifest.read(path)


def _need_torch() -> None:
    from importlib.util import find_spec

    if missing := [name for name in ("torch", "timm", "accelerate", "onnx") if find_spec(name) is None]:
        raise NevusError(f"training needs {', '.join(missing)}. Install them with: pip install 'nevus[train]'")


def _checked(build: Any) -> Any:
    """Build a section of a recipe from the command line's words; what is wrong is said as a recipe's error is."""
    from pydantic import ValidationError

    try:
        return build()
    except ValidationError as error:
        raise DataError("; ".join(f"--{p['loc'][0]}: {p['msg']}, not {p['input']!r}" for p in error.errors())) from error


def _understood(option: str, text: str | None, mapping: Callable[[str], str | None]) -> str:
    """A word of the taxonomy, or an error: a site that was given and silently ignored would be worse than none."""
    word = mapping(text or "")
    if word is None:
        from nevus.data.taxonomy import SEXES, SITES

        known = ", ".join(SEXES if option == "--sex" else SITES)
        raise DataError(f"{option} {text!r}: expected one of {known}, or a common name for one.")
    return word


def _describe(answer: "Answer") -> str:
    ranked = sorted(answer.probabilities.items(), key=lambda item: -item[1])
    shown = "  ".join(f"{name} {probability:.3f}" for name, probability in ranked)
    why = f" ({'; '.join(answer.reasons)})" if answer.reasons else ""
    referral = "have a doctor look" if answer.refer else "no referral"
    return (
        f"{answer.image}: {answer.decision}, {referral}{why}\n  {shown}\n  malignant in all: {answer.malignant_probability:.3f}"
    )


def _print_json(document: Any) -> None:
    typer.echo(json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False))
