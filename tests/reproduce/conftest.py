"""A grid in a folder of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nevus.data.manifest import Manifest
from nevus.reproduce.grid import Grid, plan


@pytest.fixture
def make_grid(phantoms: Manifest, tmp_path: Path) -> Callable[..., Grid]:
    """Plan a grid in a folder of its own."""

    def make(paper: str, **words: Any) -> Grid:
        return plan(paper, tmp_path, phantoms, **words)

    return make
