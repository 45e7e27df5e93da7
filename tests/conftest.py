"""What several tests share: the real images where they are at hand."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images (`NEVUS_DATA`, or shared/data beside the checkout); the test is skipped without it."""
    folder = Path(os.environ.get("NEVUS_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "ham10000" / "HAM10000_metadata.csv").exists():
        pytest.skip(f"the real images are not at {folder}; set NEVUS_DATA to their folder")
    return folder
