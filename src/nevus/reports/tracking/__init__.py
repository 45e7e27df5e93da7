"""A run's figures where a team keeps those of its other experiments: TensorBoard or MLflow."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from nevus.errors import DataError, NotAvailableError
from nevus.reports.run import Run
from nevus.reports.tracking.figures import Tracked
from nevus.reports.tracking.mlflow import send_to_mlflow
from nevus.reports.tracking.tensorboard import write_events

# What a name needs installed, and what sends a run there and says where it lies.
TARGETS: dict[str, tuple[str, Callable[[Run, Tracked, str], str]]] = {
    "mlflow": ("mlflow", send_to_mlflow),
    "tensorboard": ("tensorboard", write_events),
}


def track(folder: Path | str, to: str, out: str) -> str:
    """Send the figures of a finished run to TensorBoard or MLflow; say where they lie.

    Each figure of evaluation.json goes with its limits and count; undefined ones are left out. TensorBoard keeps 32 bits of it.
    The folds' figures and learning curves (a step an epoch) go into a run of their own each. The recipe's settings are the
    parameters.

    Parameters
    ----------
    folder
        A run folder of cross-validate.
    to
        `"tensorboard"` or `"mlflow"`.
    out
        A folder. For MLflow also a tracking URI, as in `http://127.0.0.1:5000`.

    Raises
    ------
    DataError
        The run cannot be read, `to` is unknown, or `out` has events of this run already.
    NotAvailableError
        The package is not installed.
    """
    if to not in TARGETS:
        raise DataError(f"--to {to!r}: expected one of {', '.join(TARGETS)}.")
    package, send = TARGETS[to]
    if find_spec(package) is None:
        raise NotAvailableError(f"--to {to} needs the package {package}. Install it with: pip install 'nevus[tracking]'")
    run = Run.read(folder)
    return send(run, Tracked.of(run), out)
