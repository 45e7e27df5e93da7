"""How every benchmark measures and what it leaves: interleaved rounds, medians, one JSON file a claim."""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from nevus.files import write_json
from nevus.provenance import provenance

ROUNDS = 5
_held: list[bool] = []


def rates(
    contenders: dict[str, tuple[int, Callable[[], object]]], rounds: int = ROUNDS, clear: Callable[[], object] = lambda: None
) -> dict[str, float]:
    """Median rate of each, in units a second: name to (units a call, call). One round is not counted, then they take turns.

    `clear` is called before each, untimed: it removes what the one before left.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for counted in range(-1, rounds):
        for name, (_, call) in contenders.items():
            clear()
            started = time.perf_counter()
            call()
            if counted >= 0:
                seconds[name].append(time.perf_counter() - started)
    return {name: units / statistics.median(seconds[name]) for name, (units, _) in contenders.items()}


def show(title: str, unit: str, measured: dict[str, float]) -> None:
    """Print a table."""
    print(f"{title} ({unit}, {provenance()['hardware']})")
    for contender, value in measured.items():
        print(f"  {contender:64}{value:10.3f}" if value < 10 else f"  {contender:64}{value:10.1f}")


def conclude(
    name: str, measured: dict[str, float], *, ours: str, peer: str, bar: float, unit: str, lower_is_better: bool = False
) -> None:
    """Print the ratio of two of the figures beside its bar, and write `results/NAME.json`.

    The ratio is ours / peer and must reach the bar; where lower is better it must not pass it.
    """
    ratio = measured[ours] / measured[peer]
    holds = ratio <= bar if lower_is_better else ratio >= bar
    origin = provenance()
    print(
        f"  {ours} / {peer} = {ratio:.3f}, bar {'at most ' if lower_is_better else ''}{bar:g}: {'holds' if holds else 'MISSED'}"
    )
    document = {
        "name": name,
        "ours": {"what": ours, "value": measured[ours], "unit": unit},
        "peer": {"what": peer, "value": measured[peer], "unit": unit},
        "ratio": ratio,
        "bar": bar,
        "lower_is_better": lower_is_better,
        "holds": holds,
        "measured": measured,
        "machine": origin["hardware"],
        "command": f"python benchmarks/{Path(sys.argv[0]).name}",
        "packages": origin["packages"],
        "commit": origin["commit"],
    }
    write_json(Path(__file__).parent / "results" / f"{name}.json", document)
    _held.append(holds)


def finish() -> NoReturn:
    """Exit with 1 where a bar was missed."""
    sys.exit(0 if _held and all(_held) else 1)
