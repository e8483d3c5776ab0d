"""A Docker engine and a registry, for images that are to be pulled and run."""

from collections.abc import Iterator

import pytest

from tests.rig.engine import RealEngine, engine
from tests.rig.registry import Registry, registry


@pytest.fixture(scope="session")
def docker() -> Iterator[RealEngine]:
    with engine() as running:
        yield running


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("registry")) as running:
        yield running
