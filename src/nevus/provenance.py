"""Where a figure or a bundle comes from: command, versions, commit, machine, time."""

import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = ("numpy", "opencv-python-headless", "simplejpeg", "onnxruntime", "torch", "timm", "accelerate", "scikit-learn")


def provenance() -> dict[str, Any]:
    """The command line, the versions, the commit of the checkout (null outside one), the processor and the date (UTC)."""
    return {
        "command": shlex.join([Path(sys.argv[0]).name.replace("__main__.py", "nevus"), *sys.argv[1:]]),
        "nevus": version("nevus"),
        "python": platform.python_version(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "commit": _commit(),
        "hardware": f"{_processor()}, {os.cpu_count()} threads",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit of the checkout this file lies in, with "+changes" where the work tree differs from it."""
    here = Path(__file__).parent
    try:
        options = {"cwd": here, "capture_output": True, "text": True, "check": True, "timeout": 10}
        # An installed package may lie inside somebody else's repository: ask only where this very file is tracked.
        subprocess.run(["git", "ls-files", "--error-unmatch", Path(__file__).name], **options)  # type: ignore[call-overload]
        commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], **options).stdout.strip()  # type: ignore[call-overload]
        changes = subprocess.run(["git", "status", "--porcelain", "-uno", "."], **options).stdout.strip()  # type: ignore[call-overload]
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit}+changes" if changes else str(commit)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
