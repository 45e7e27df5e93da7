"""Claim: `nevus predict one.jpg`, from the start of the process to its end, takes at most 0.8 s and 250 MB resident.

The peers are scripts of a few lines that answer for the same photo: one with the same ONNX file, ONNX Runtime, Pillow and NumPy,
which is the least that it can cost, and one that imports torch and timm, as most published code does, and runs eagerly.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from nevus.bundle import Bundle
from nevus.predictor.shipped import shipped_bundle
from photographs import write_jpegs
from result import conclude, finish, show

ROUNDS, LIMIT_S, LIMIT_MB = 9, 0.8, 250
_ONNX = """
import sys, numpy, onnxruntime
from PIL import Image
session = onnxruntime.InferenceSession(sys.argv[1])
photo = numpy.asarray(Image.open(sys.argv[2]).convert("RGB"))[None]
given = {"images": photo, "age": numpy.float32([numpy.nan]), "sex": numpy.int64([-1]), "site": numpy.int64([-1])}
print(session.run(["probabilities"], {value.name: given[value.name] for value in session.get_inputs()})[0])
"""
# A process is charged with what the one that started it held: this one holds little.
_LAUNCHER = """
import os, sys, time
quiet = [(os.POSIX_SPAWN_OPEN, out, os.devnull, os.O_WRONLY, 0) for out in (1, 2)]
started = time.perf_counter()
process = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, used = os.wait4(process, 0)
print(time.perf_counter() - started, used.ru_maxrss, status)
"""
# timm imports torchvision; see nevus.networks.backbones, whose import would be counted here.
_TORCH = """
import sys, numpy, torch
try:
    import torchvision
except (RuntimeError, OSError):
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
import timm
from PIL import Image
network = timm.create_model(sys.argv[1], num_classes=7).eval()
photo = numpy.asarray(Image.open(sys.argv[2]).convert("RGB").resize((int(sys.argv[3]),) * 2))
with torch.inference_mode():
    print(network(torch.tensor(photo).permute(2, 0, 1)[None] / 127.5 - 1).softmax(1))
"""


def main() -> None:
    bundle = Bundle.load(shipped_bundle())
    with tempfile.TemporaryDirectory() as name:
        (photo,), origin = write_jpegs(Path(name) / "photos", 1)
        model = Path(name) / "model.onnx"
        model.write_bytes(bundle.read("model.onnx"))
        backbone, side = bundle.document["recipe"]["model"]["backbone"], str(bundle.document["preprocessing"]["size"])
        contenders = {
            "nevus predict": [str(Path(sys.executable).with_name("nevus")), "predict", str(photo)],
            "ONNX Runtime in a script": [sys.executable, "-c", _ONNX, str(model), str(photo)],
            "torch and timm in a script": [sys.executable, "-c", _TORCH, backbone, str(photo), side],
        }
        seconds: dict[str, list[float]] = {each: [] for each in contenders}
        megabytes: dict[str, list[float]] = {each: [] for each in contenders}
        for counted in range(-1, ROUNDS):
            for each, command in contenders.items():
                took, held = _run(command)
                if counted >= 0:
                    seconds[each].append(took)
                    megabytes[each].append(held)
    times = {each: statistics.median(values) for each, values in seconds.items()}
    memory = {each: max(values) for each, values in megabytes.items()}
    show(f"one photo, the process's start and end included ({origin})", "s, medians", times)
    show("one photo", "MB resident, largest", memory)
    limit_s, limit_mb = f"{LIMIT_S} s", f"{LIMIT_MB} MB"
    conclude("cold", times | {limit_s: LIMIT_S}, ours="nevus predict", peer=limit_s, bar=1, unit="s", lower_is_better=True)
    conclude(
        "cold_memory", memory | {limit_mb: LIMIT_MB}, ours="nevus predict", peer=limit_mb, bar=1, unit="MB", lower_is_better=True
    )
    conclude("cold_peer", times, ours="nevus predict", peer="torch and timm in a script", bar=0.5, unit="s", lower_is_better=True)
    finish()


def _run(command: list[str]) -> tuple[float, float]:
    """Seconds, and megabytes resident at most, of a command that must succeed."""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", _LAUNCHER, *command], capture_output=True, text=True, check=True)
    took, kilobytes, status = done.stdout.split()
    if int(status):
        raise SystemExit(f"{' '.join(command)[:200]}: exit {os.waitstatus_to_exitcode(int(status))}")
    return float(took), int(kilobytes) * 1024 / 1e6


if __name__ == "__main__":
    main()
