"""The verb that measures what more views of a photo bring, and cost."""

import typer

from nevus.cli.arguments import AsJson, print_json
from nevus.cli.measuring import OtherManifest, RunPath


def views(run: RunPath, manifest: OtherManifest = None, as_json: AsJson = False) -> None:
    """Predict a finished run's images again in 1, 2, 4 and 8 views: figures on validation and test rows, and milliseconds."""
    from nevus.evaluation.views import views as measure
    from nevus.evaluation.views import views_table
    from nevus.provenance import provenance

    document = measure(run, manifest=manifest, provenance=provenance())
    if as_json:
        print_json(document)
    else:
        typer.echo(views_table(document))
        typer.echo(f"\n{run / 'views.json'}")
