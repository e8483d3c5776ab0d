"""Indexes on loopback, and uv at one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.composer_repository import ComposerRepository
from tests.rig.process import need
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


@pytest.fixture
def repository() -> Iterator[ComposerRepository]:
    """`acme/app` 1.1 needs nothing new, 1.2 a newer `acme/util`, and 1.3 one that `acme/other` forbids."""
    need("php", "composer")
    with ComposerRepository() as running:
        running.publish("acme/app", "1.0.0", requires={"acme/util": "^1.0"})
        running.publish("acme/util", "1.0.0")
        running.publish("acme/other", "1.0.0", requires={"acme/util": "<1.5"})
        yield running
