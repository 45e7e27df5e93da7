"""A stand-in server for each test, and waits too short to notice."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from published import SOURCES
from stand_in import StandIn

from nevus.data.download import Downloaded, Patience, download
from nevus.data.download.catalogue import Provider
from nevus.data.download.web import Session

Get = Callable[..., Downloaded]
QUICK = Patience(timeout_s=5, num_tries=3, first_wait_s=0.001, longest_wait_s=0.01)


@pytest.fixture
def server() -> Iterator[StandIn]:
    server = StandIn()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def session() -> Session:
    return Session(QUICK)


@pytest.fixture
def patience() -> Patience:
    return QUICK


@pytest.fixture
def noise() -> bytes:
    """What no compression and no chance can mistake for something else."""
    return random.Random(1).randbytes(50_000)


@pytest.fixture
def get(server: StandIn, tmp_path: Path, patience: Patience) -> Get:
    """`download` from the stand-in into tmp_path/out."""
    endpoints: dict[Provider, str] = {
        "dataverse": server.url,
        "isic": f"{server.url}api/v2/",
        "challenge": f"{server.url}challenges/",
        "mendeley": f"{server.url}public-api/",
    }

    def run(name: str, **options: Any) -> Downloaded:
        if not server.contents:
            SOURCES[name](server)
        usual: dict[str, Any] = {"out": tmp_path / "out", "endpoints": endpoints, "patience": patience}
        done = download(name, **usual | options)
        assert done is not None
        return done

    return run
