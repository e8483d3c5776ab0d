"""The service mode: Celery workers, beats and a real Redis that forgets everything, with the same steps."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.engine import RealEngine, engine
from tests.rig.process import wait_for
from tests.rig.redis import RealRedis, redis
from tests.rig.registry import registry
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
def broker(tmp_path: Path) -> Iterator[RealRedis]:
    with redis(tmp_path / "redis") as running:
        yield running


@pytest.fixture
def world(tmp_path: Path, index: SimpleIndex) -> World:
    return make_world(tmp_path / "world", {"requirements.txt": "alpha==1.0\n"}, index.url)


def service(broker: RealRedis) -> dict[str, object]:
    return {"broker": broker.url, "look": "1s", "poll": "2s"}


def newest(world: World) -> dict[str, object]:
    rollouts = world.json("status", expect=None)["rollouts"]
    return rollouts[0] if rollouts else {"stage": "", "id": ""}


def is_done(world: World, id: str) -> bool:
    found = newest(world)
    return found["stage"] == "done" and found["id"] == id


def test_two_workers_and_two_beats_bring_a_release_to_docker_hosts(
    world: World, index: SimpleIndex, broker: RealRedis, tmp_path: Path
) -> None:
    with engine() as one, engine() as two, registry(tmp_path / "registry") as images:
        parts = world.on_engines(f"{images.address}/team/shop")
        world.configure(
            {"one": one.address, "two": two.address},
            app={"survey": "2s"},
            service=service(broker),
            **parts,
        )
        with contextlib.ExitStack() as running:
            for words in (("worker", "-c", "2"), ("worker", "-c", "2"), ("beat",), ("beat",)):
                running.enter_context(started(world, *words))
            wait_for(lambda: is_done(world, "shop:1"), "the first rollout", SOON)
            index.publish("alpha", "1.1", files={"alpha/__init__.py": "VERSION = '1.1'\n"})
            wait_for(lambda: is_done(world, "shop:2"), "the second rollout", SOON)
        for host in (one, two):
            assert version_in(host) == "1.1"
    assert world.origin.log() == ["Bump alpha from 1.0 to 1.1", "The shop"]
    kinds = [event["kind"] for event in world.json("history", "--events", "-n", "500")]
    assert kinds.count("rollout.built") == 2
    assert kinds.count("host.done") == 4


def version_in(host: RealEngine) -> str:
    with host.api() as api:
        started = api.exec_create("shop", ["python", "-c", "import alpha; print(alpha.VERSION)"])
        said: bytes = api.exec_start(started["Id"])
        return said.decode().strip()


def test_redis_may_be_killed_in_the_middle_and_come_back_empty(
    world: World, index: SimpleIndex, broker: RealRedis
) -> None:
    slow = "import time, alpha\ntime.sleep(2)\n"
    world.origin.write({"shop/health.py": slow}, "A slow health command")
    hosts = {f"h{n}": f"dir:{world.root}/h{n}" for n in range(1, 4)}
    world.configure(hosts, app={"survey": "2s"}, service=service(broker))
    with started(world, "worker", "-c", "2"), started(world, "beat"):
        # On a machine with much to do it may be over before we have seen it: the next one is not.
        wait_for(lambda: newest(world)["stage"] in ("rolling", "done"), "a rollout under way", SOON)
        broker.kill()
        time.sleep(1)
        broker.start()
        wait_for(lambda: is_done(world, "shop:1"), "the rollout", SOON + 60)
        # The same worker takes the next release, too.
        index.publish("alpha", "1.1", files={"alpha/__init__.py": "VERSION = '1.1'\n"})
        wait_for(lambda: is_done(world, "shop:2"), "the next rollout", SOON + 60)
    kinds = [event["kind"] for event in world.json("history", "--events", "-n", "500")]
    assert kinds.count("host.done") == 6


def test_a_killed_worker_is_made_up_for_by_another(world: World, index: SimpleIndex, broker: RealRedis) -> None:
    hosts = {f"h{n}": f"dir:{world.root}/h{n}" for n in range(1, 3)}
    world.configure(hosts, app={"survey": "2s"}, service=service(broker))
    with started(world, "beat"):
        with contextlib.suppress(AssertionError), started(world, "worker", "-c", "1") as first:
            wait_for(lambda: bool(newest(world)["id"]), "a rollout", SOON)
            first.kill()
        with started(world, "worker", "-c", "2"):
            wait_for(lambda: is_done(world, "shop:1"), "the rollout", SOON + 60)


def test_orders_on_the_command_line_are_carried_out_by_the_service(
    world: World, index: SimpleIndex, broker: RealRedis
) -> None:
    world.configure({"h1": f"dir:{world.root}/h1"}, service=service(broker) | {"poll": "1h"}, app={"survey": "1h"})
    with started(world, "worker", "-c", "2"), started(world, "beat"):
        wait_for(lambda: is_done(world, "shop:1"), "the first rollout", SOON)
        index.publish("alpha", "1.1", files={"alpha/__init__.py": "VERSION = '1.1'\n"})
        bumped = world.json("bump", "shop", "alpha", "--why", "now")
        assert bumped["stage"] == "merged"
        assert newest(world)["stage"] == "done"


def test_a_broker_that_is_away_is_said_and_nothing_hangs(world: World, broker: RealRedis) -> None:
    world.configure({"h1": f"dir:{world.root}/h1"}, service=service(broker))
    broker.kill()
    doctor = world.json("doctor", expect=1)
    (finding,) = [row for row in doctor if row["subject"] == "broker"]
    assert not finding["well"]
    assert "Redis" in finding["hint"]
    world.toplayer("status")
