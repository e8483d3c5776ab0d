"""What needs a newer Docker than Debian's stable one is collected where somebody names one: `make newer`."""

import os
from collections.abc import Iterator

import pytest

from tests.rig.engine import RealEngine, engine
from tests.rig.process import need
from tests.rig.registry import Registry, registry
from tests.rig.toolbox import load_images

collect_ignore = [] if os.environ.get("PROGRAMS") else ["test_newer.py"]


@pytest.fixture(scope="module")
def docker() -> Iterator[RealEngine]:
    need("docker")
    with engine() as running:
        yield running


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("registry"), auth=True) as running:
        yield running


@pytest.fixture(scope="package")
def toolbox() -> Iterator[RealEngine]:
    """An engine with images that pretend: what the fifty Dockerfiles stand on. The newer one, if somebody names it."""
    need("docker")
    programs = os.environ.get("PROGRAMS", "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{programs}:{os.environ['PATH']}" if programs else os.environ["PATH"])
        with engine(programs=programs) as running, running.api() as api:
            load_images(api)
            yield running
