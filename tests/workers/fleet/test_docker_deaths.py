"""A worker is killed between any two changes of a real Docker engine; the same move again gets to the same end.

Before every fourth change, and with TOPLAYER_EVERY_CHANGE=1 (`make faults`) before each.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.rig.death import changes_over_http, dies_at
from tests.rig.engine import RealEngine
from tests.rig.registry import Registry
from tests.workers.fleet.worlds import LATER, DockerWorld, deploy, docker_world
from watcher.fleet import HostSettings
from watcher.image import Digest
from workers.fleet.host import Health, Host, Running
from workers.fleet.targets import connect

STEP = 1 if os.environ.get("TOPLAYER_EVERY_CHANGE") else 4


@pytest.fixture(params=["stop-first", "start-first"])
def world(request: pytest.FixtureRequest, dockerd: RealEngine, real_registry: Registry) -> Iterator[DockerWorld]:
    with docker_world(dockerd, real_registry) as made:
        made.service = replace(made.service, order=request.param)
        yield made


@pytest.fixture
def images(world: DockerWorld) -> tuple[Digest, Digest]:
    """An image that runs, by generation 1, and another one."""
    old, new = world.publish("1"), world.publish("2")
    deploy(world, old, 1)
    return old, new


def every_death(
    world: DockerWorld, start: Callable[[int], object], move: Callable[[Host, int], object]
) -> Iterator[int]:
    """Starts generation after generation, and has a process killed one change later each time, until one survives."""
    for count in itertools.count(1, STEP):
        generation = count + 1
        start(generation)

        def moved(generation: int = generation) -> None:
            with connect(HostSettings(name="h1", address=world.engine.address), world.store) as host:
                move(host, generation)

        died = dies_at(count, changes_over_http, moved)
        yield generation
        if not died:
            assert count > 2, "it was not killed often enough to prove anything"
            return


def up(world: DockerWorld) -> set[str]:
    return {name for name, state in world.containers().items() if state == "running"}


def test_a_swap_that_died_anywhere_is_finished_by_the_next_one(
    world: DockerWorld, images: tuple[Digest, Digest]
) -> None:
    old, new = images
    beside = world.service.order == "start-first"
    for generation in every_death(
        world,
        lambda _: world.host.fetch(world.service, new),
        lambda host, generation: host.swap(world.service, new, generation),
    ):
        # What ran is there, and it runs, unless its successor is made and about to start.
        assert world.host.running(world.service).image == old
        assert "" in up(world) or (not beside and ".next" in world.containers())
        world.host.swap(world.service, new, generation)
        assert up(world) == ({"", ".next"} if beside else {".next"})
        assert world.host.prove(world.service, new, LATER).health is Health.HEALTHY
        world.host.back(world.service, old, generation)
        assert world.containers() == {"": "running", ".failed": "exited"}


def test_a_settling_that_died_anywhere_is_finished_by_the_next_one(
    world: DockerWorld, images: tuple[Digest, Digest]
) -> None:
    def swapped(generation: int) -> None:
        world.host.fetch(world.service, images[1 - generation % 2])
        world.host.swap(world.service, images[1 - generation % 2], generation)

    for generation in every_death(
        world, swapped, lambda host, generation: host.settle(world.service, images[1 - generation % 2])
    ):
        new = images[1 - generation % 2]
        assert up(world) & {"", ".next", ".proven"}, "nothing that is proven runs"
        world.host.settle(world.service, new)
        assert world.host.running(world.service) == Running(new, generation)
        assert world.containers() == {"": "running"}
        assert world.kept() == {image.short for image in images}


def test_a_way_back_that_died_anywhere_is_finished_by_the_next_one(
    world: DockerWorld, images: tuple[Digest, Digest]
) -> None:
    old, new = images

    def swapped(generation: int) -> None:
        world.host.fetch(world.service, new)
        world.host.swap(world.service, new, generation)

    for generation in every_death(world, swapped, lambda host, generation: host.back(world.service, old, generation)):
        running = world.host.running(world.service)
        assert (running.image, running.generation) == (old, 1)
        world.host.back(world.service, old, generation)
        assert world.containers() == {"": "running", ".failed": "exited"}
        assert world.restarts() == {"": "unless-stopped", ".failed": "no"}
        assert world.answers() == "1"


def test_a_way_back_from_a_proven_image_that_died_anywhere_is_finished_by_the_next_one(
    world: DockerWorld, images: tuple[Digest, Digest]
) -> None:
    old, new = images

    def settled(generation: int) -> None:
        world.host.fetch(world.service, new)
        world.host.swap(world.service, new, generation)
        world.host.settle(world.service, new)

    for generation in every_death(world, settled, lambda host, generation: host.back(world.service, old, generation)):
        assert up(world) or ".next" in world.containers()
        world.host.back(world.service, old, generation)
        assert world.host.prove(world.service, old, LATER).health is Health.HEALTHY
        world.host.settle(world.service, old)
        assert world.host.running(world.service) == Running(old, generation)
        assert world.containers() == {"": "running"}
        assert world.answers() == "1"
