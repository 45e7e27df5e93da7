"""Verbs that judge and show."""

from pathlib import Path
from typing import Annotated, Any

import typer

from nevus.cli.arguments import AsJson, Deciding, print_json
from nevus.errors import DataError


def evaluate(
    predictions: Annotated[
        Path, typer.Argument(help="a predictions.csv of nevus or of any other program, or an ISIC challenge's submission")
    ],
    truth: Annotated[Path | None, typer.Option(help="the answers, where the file has none: a ground truth or a manifest")] = None,
    logits: Annotated[bool, typer.Option("--logits", help="the file has logits in place of probabilities")] = False,
    threshold: Annotated[float | None, typer.Option(help="operating point, instead of one chosen on validation rows")] = None,
    operating_point: Annotated[str, typer.Option(help="youden, sensitivity:0.90, cost:10 or cost:10@0.02")] = "youden",
    prevalence: Annotated[
        float | None, typer.Option(help="the positive class's share where it is used, as in 0.02: a table of 1,000 people")
    ] = None,
    cost_ratio: Annotated[
        float | None, typer.Option(help="false alarms that a missed positive costs: chooses a threshold for it too")
    ] = None,
    decisions: Deciding = "likeliest",
    intervals: Annotated[str, typer.Option(help="analytic where there is a closed form, or bootstrap, or bca")] = "analytic",
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
    if truth and truth.is_file():
        origin |= {"truth": str(truth), "truth_sha256": sha256(truth)}
    document = evaluate_predictions(
        predictions,
        truth=truth,
        logits=logits,
        threshold=threshold,
        operating_point=operating_point,
        intervals=intervals,
        prevalence=prevalence,
        cost_ratio=cost_ratio,
        decisions=decisions,
        provenance=origin,
    )
    if out:
        write_json(out, document)
    if as_json:
        print_json(document)
    else:
        typer.echo(evaluation_table(document))


def compare(
    predictions: Annotated[list[Path], typer.Argument(help="two or more predictions.csv about the same images")],
    operating_point: Annotated[str, typer.Option(help="youden, sensitivity:0.90, cost:10 or cost:10@0.02")] = "youden",
    decisions: Deciding = "likeliest",
    margin: Annotated[float | None, typer.Option(help="say whether the second is worse by no more than this")] = None,
    out: Annotated[Path | None, typer.Option(help="also write the document here")] = None,
    as_json: AsJson = False,
) -> None:
    """Say how far systems differ on the same images, with paired tests over lesions or patients."""
    from nevus.evaluation.compare import compare as compare_predictions
    from nevus.evaluation.compare import compare_all, comparison_table
    from nevus.files import write_json
    from nevus.provenance import provenance

    if len(predictions) < 2:
        raise DataError("nevus compare needs at least two predictions files.")
    if margin is not None and not 0 < margin < 1:
        raise DataError(f"--margin {margin:g}: expected a part of a figure, as in 0.02.")
    asked: dict[str, Any] = {
        "operating_point": operating_point,
        "decisions": decisions,
        "margin": margin,
        "provenance": provenance(),
    }
    if len(predictions) == 2:
        first, second = predictions
        document = compare_predictions(first, second, **asked)
    else:
        document = compare_all(predictions, **asked)
    if out:
        write_json(out, document)
    if as_json:
        print_json(document)
    else:
        typer.echo("\n\n".join(comparison_table(part) for part in document.get("comparisons", [document])))


def report(
    runs: Annotated[list[Path], typer.Argument(help="folders that cross-validate wrote; several are set side by side")],
    out: Annotated[Path | None, typer.Option(help="the page to write; report.html in the first folder by default")] = None,
) -> None:
    """Write one self-contained HTML page about one run, or comparing several; the same as Markdown; of one run its model card."""
    from nevus.reports.page import CARD, write_report

    page = write_report(runs, out or runs[0] / "report.html")
    typer.echo("\n".join(map(str, [page, page.with_suffix(".md"), *([page.with_name(CARD)] if len(runs) == 1 else [])])))
