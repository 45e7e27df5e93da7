"""How every benchmark measures and what it leaves: interleaved rounds, medians, one JSON file a claim."""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from nevus.files import write_json
from nevus.provenance import provenance

ROUNDS = 5


def rates(contenders: dict[str, tuple[int, Callable[[], object]]]) -> dict[str, float]:
    """Median rate of each, in units a second: name to (units a call, call). One round is not counted, then they take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for counted in range(-1, ROUNDS):
        for name, (_, call) in contenders.items():
            started = time.perf_counter()
            call()
            if counted >= 0:
                seconds[name].append(time.perf_counter() - started)
    return {name: units / statistics.median(seconds[name]) for name, (units, _) in contenders.items()}


def conclude(name: str, measured: dict[str, float], *, ours: str, peer: str, bar: float, unit: str) -> None:
    """Print the table and the ratio, write `results/NAME.json`, and exit with 1 where the bar is missed."""
    ratio = measured[ours] / measured[peer]
    origin = provenance()
    print(f"{name} ({unit}, medians of {ROUNDS} interleaved rounds, {origin['hardware']})")
    for contender, rate in measured.items():
        print(f"  {contender:44}{rate:10.1f}")
    print(f"  {ours} / {peer} = {ratio:.2f}, bar {bar:g}: {'holds' if ratio >= bar else 'MISSED'}")
    document = {
        "name": name,
        "ours": {"what": ours, "value": measured[ours], "unit": unit},
        "peer": {"what": peer, "value": measured[peer], "unit": unit},
        "ratio": ratio,
        "bar": bar,
        "holds": ratio >= bar,
        "machine": origin["hardware"],
        "command": f"python benchmarks/{Path(sys.argv[0]).name}",
        "packages": origin["packages"],
        "commit": origin["commit"],
    }
    write_json(Path(__file__).parent / "results" / f"{name}.json", document)
    sys.exit(0 if ratio >= bar else 1)
