"""An index on loopback, and uv at it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.simple_index import SimpleIndex
from tests.workers.propose.world import TARGET
from watcher.settings import IndexSettings
from workers.propose.uv import Uv


@pytest.fixture
def index() -> Iterator[SimpleIndex]:
    """`api` 1 needs `core`, and 2 needs a newer one; `side` is in nobody's way."""
    with SimpleIndex() as running:
        running.publish("core", "1.0")
        running.publish("side", "1.0")
        running.publish("api", "1.0", requires=["core>=1"])
        running.publish("api", "1.1", requires=["core>=1"])
        running.publish("api", "2.0", requires=["core>=2"])
        running.publish("api", "3.0", requires=["core>=2", "extra-thing"])
        running.publish("extra-thing", "1.0")
        yield running


@pytest.fixture
def uv(index: SimpleIndex, tmp_path: Path) -> Uv:
    return Uv(tmp_path / "state", IndexSettings(kind="pypi", url=index.url), TARGET)
