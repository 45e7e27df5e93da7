"""How many processors there are to work on."""

import os


def num_processors() -> int:
    """Those that this program may use, where the system says so; else all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
