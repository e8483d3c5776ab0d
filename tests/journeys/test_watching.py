"""Watching, the whole way: the real command line, the real lock tool, and an index on loopback."""

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from uv import find_uv_bin

from tests.rig.simple_index import SimpleIndex
from tests.rig.world import World, make_world

pytestmark = pytest.mark.journey

PROJECT = '[project]\nname = "shop"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["alpha"]\n'


@pytest.fixture
def index() -> Iterator[SimpleIndex]:
    with SimpleIndex() as running:
        running.publish("alpha", "1.0", requires=["beta"], files={"alpha/__init__.py": ""})
        running.publish("beta", "1.0")
        yield running


@pytest.fixture
def world(tmp_path: Path, index: SimpleIndex) -> World:
    """A shop that asks for alpha, which needs beta."""
    made = make_world(tmp_path / "world", {"pyproject.toml": PROJECT}, index.url)
    made.origin.write({"uv.lock": locked(tmp_path / "lock", index)}, "Lock")
    made.configure({"h1": f"dir:{made.root}/h1"}, app={"lock": "uv.lock", "policy": {"cooldown": "3d"}})
    return made


def locked(directory: Path, index: SimpleIndex) -> str:
    directory.mkdir()
    (directory / "pyproject.toml").write_text(PROJECT)
    env = {**os.environ, "UV_DEFAULT_INDEX": index.url, "UV_CACHE_DIR": str(directory / "cache")}
    subprocess.run([find_uv_bin(), "lock", "--quiet"], cwd=directory, env=env, check=True)
    return (directory / "uv.lock").read_text()


def test_a_release_of_today_does_not_come_in_by_way_of_an_older_one(world: World, index: SimpleIndex) -> None:
    index.publish("gamma", "1.0", at=datetime.now(UTC))
    index.publish("alpha", "1.1", requires=["beta", "gamma"], files={"alpha/__init__.py": ""})

    world.toplayer("run", "--once", "--patience", "5s")

    (bump,) = world.json("status")["bumps"]
    assert (bump["package"], bump["to"], bump["stage"]) == ("alpha", "1.1", "found")
    assert "gamma 1.0 is held until" in bump["reason"]
    assert world.origin.log() == ["Lock", "The shop"]
