"""Watching, the whole way: the real command line, the real lock tool, and an index on loopback."""

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from uv import find_uv_bin

from tests.rig.osv import OsvServer
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


def test_what_an_advisory_hits_moves_at_once_to_the_lowest_version_that_is_fixed(
    world: World, index: SimpleIndex
) -> None:
    with OsvServer() as osv:
        source = f'[advisories.osv]\nkind = "osv"\nurl = "{osv.url}"\n'
        text = world.config.read_text().replace('kind = "pypi"', 'kind = "pypi"\nadvisories = true')
        world.config.write_text(text.replace("[advisories]\n", source))
        for version in ("1.1", "1.2"):
            index.publish("alpha", version, requires=["beta"], at=datetime.now(UTC))
            index.publish("beta", version, at=datetime.now(UTC))
        osv.publish("GHSA-1", "beta", {"introduced": "0"}, {"fixed": "1.1"}, aliases=["CVE-2026-1"], summary="It burns")

        before = {row["package"]: row for row in world.json("check")}
        world.toplayer("run", "--once", "--patience", "5s")

    assert before["alpha"]["verdict"] == "held"
    assert (before["beta"]["candidate"], before["beta"]["advisories"]) == ("1.1", ["CVE-2026-1"])
    status = world.json("status")
    (bump,) = status["bumps"]
    assert (bump["package"], bump["to"], bump["stage"], bump["advisories"]) == ("beta", "1.1", "merged", ["CVE-2026-1"])
    assert status["hits"] == []
    assert 'name = "beta"\nversion = "1.1"' in world.origin.text("uv.lock")
    said = world.toplayer("why", "shop", "alpha").stdout
    assert "1.2 is held until" in said
    assert "last lookup" in said
    said = world.toplayer("why", "shop", "Beta").stdout
    assert "bump shop:beta:1.1" in said
    assert "merged" in said
    events = [event["kind"] for event in world.json("history", "--events", "-n", "100")]
    assert "pin.hit" in events
