"""`toplayer serve`: the whole service in one process, and the same with a PostgreSQL for a ledger."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.postgres import postgres
from tests.rig.process import wait_for
from tests.rig.simple_index import SimpleIndex
from tests.rig.world import World, make_world, started

pytestmark = pytest.mark.journey
SOON = 90.0


@pytest.fixture
def index() -> Iterator[SimpleIndex]:
    with SimpleIndex() as running:
        running.publish("alpha", "1.0", files={"alpha/__init__.py": "VERSION = '1.0'\n"})
        yield running


@pytest.fixture
def world(tmp_path: Path, index: SimpleIndex) -> World:
    return make_world(tmp_path / "world", {"requirements.txt": "alpha==1.0\n"}, index.url)


def stages(world: World) -> dict[str, str]:
    return {row["id"]: row["stage"] for row in world.json("status", expect=None)["rollouts"]}


def test_one_process_does_it_all_until_it_is_told_to_end(world: World, index: SimpleIndex) -> None:
    world.configure({"h1": f"dir:{world.root}/h1"}, service={"poll": "2s"}, app={"survey": "2s"})
    with started(world, "serve"):
        wait_for(lambda: stages(world).get("shop:1") == "done", "the first rollout", SOON)
        index.publish("alpha", "1.1", files={"alpha/__init__.py": "VERSION = '1.1'\n"})
        wait_for(lambda: stages(world).get("shop:2") == "done", "the second rollout", SOON)
        world.toplayer("pause", "shop", "--why", "lunch")
        index.publish("alpha", "1.2", files={"alpha/__init__.py": "VERSION = '1.2'\n"})
        wait_for(lambda: world.json("status")["bumps"][0]["to"] == "1.2", "the next bump", SOON)
        assert world.origin.log()[0] == "Bump alpha from 1.0 to 1.1"
        world.toplayer("resume", "shop")
        wait_for(lambda: stages(world).get("shop:3") == "done", "the third rollout", SOON)


def test_a_service_that_is_told_to_end_in_the_middle_goes_on_when_it_is_started_again(world: World) -> None:
    world.origin.write({"shop/health.py": "import time, alpha\ntime.sleep(2)\n"}, "A slow health command")
    world.configure({f"h{n}": f"dir:{world.root}/h{n}" for n in range(1, 4)})
    with started(world, "serve"):
        wait_for(lambda: stages(world).get("shop:1") == "rolling", "a rollout under way", SOON)
    assert stages(world)["shop:1"] == "rolling"
    with started(world, "serve") as process:
        wait_for(lambda: stages(world)["shop:1"] == "done", "the rollout", SOON)
        assert process.poll() is None
    kinds = [event["kind"] for event in world.json("history", "--events", "-n", "500")]
    assert kinds.count("host.done") == 3
    assert kinds.count("rollout.built") == 1


def test_the_whole_way_with_a_ledger_in_postgresql(world: World, index: SimpleIndex) -> None:
    with postgres() as url:
        world.env["LEDGER"] = url
        world.configure({f"h{n}": f"dir:{world.root}/h{n}" for n in range(1, 3)}, service={"ledger": {"env": "LEDGER"}})
        world.toplayer("run", "--once")
        index.publish("alpha", "1.1", files={"alpha/__init__.py": "VERSION = '1.1'\n"})
        world.toplayer("run", "--once")
        assert stages(world) == {"shop:2": "done"}
        assert world.origin.log() == ["Bump alpha from 1.0 to 1.1", "The shop"]
        assert "nothing to do" in world.toplayer("run", "--once").stdout
        assert not (world.root / "state" / "ledger.db").exists()
