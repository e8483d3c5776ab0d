"""What every kind of host does, whatever it is made of. The fake, directories and real Docker engines pass the same."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workers.fleet.worlds import (
    LATER,
    DockerWorld,
    FakeWorld,
    World,
    deploy,
    dir_world,
    docker_world,
    proof_of,
    swarm_world,
)
from watcher.errors import Refused
from watcher.image import Digest
from workers.fleet.host import Fenced, Health, Running

ALSO = [pytest.param(kind, marks=pytest.mark.exhaustive) for kind in ("compose", "swarm")]
"""What CI leaves to `make exhaustive`: it has tests of its own for what is special about them."""


@pytest.fixture(params=["fake", "dir", "docker", *ALSO])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "fake":
        yield FakeWorld()
    elif request.param == "dir":
        with dir_world(tmp_path) as made:
            yield made
    else:
        if request.param == "swarm":
            with swarm_world(request.getfixturevalue("swarm"), request.getfixturevalue("real_registry")) as managed:
                yield managed
                return
        parts = request.getfixturevalue("dockerd"), request.getfixturevalue("real_registry")
        with docker_world(*parts, target=request.param) as real:
            yield real


def runs(world: World) -> tuple[Digest | None, int]:
    """What runs, whatever stands beside it."""
    running = world.host.running(world.service)
    return running.image, running.generation


def test_a_host_tells_what_it_takes(world: World) -> None:
    takes = world.host.takes()

    assert takes.engine
    assert takes == world.host.takes()


def test_a_new_host_runs_nothing(world: World) -> None:
    assert world.host.running(world.service) == Running(None)
    assert world.answers() == ""


def test_an_image_runs_once_it_is_proven(world: World) -> None:
    image = world.publish("1")
    world.host.fetch(world.service, image)
    world.host.swap(world.service, image, 1)
    assert runs(world) == (None, 0)
    assert proof_of(world, image).health is Health.HEALTHY
    world.host.settle(world.service, image)
    assert world.host.running(world.service) == Running(image, 1)
    assert world.answers() == "1"


def test_only_what_a_host_lacks_travels_to_it(world: World) -> None:
    first, second = world.publish("1"), world.publish("2")
    whole = world.host.fetch(world.service, first)
    assert whole > 500_000
    assert 0 < world.host.fetch(world.service, second) < 3_000
    assert world.host.fetch(world.service, first) == 0
    assert world.host.fetch(world.service, second) == 0


def test_an_image_that_is_not_in_the_registry_is_a_matter_for_a_person(world: World) -> None:
    with pytest.raises(Refused):
        world.host.fetch(world.service, Digest("sha256:" + "0" * 64))
    with pytest.raises(Refused):
        world.host.swap(world.service, world.publish("never fetched"), 1)
    assert world.host.running(world.service) == Running(None)


def test_what_ran_before_counts_until_its_successor_is_proven(world: World) -> None:
    first, second = world.publish("1"), world.publish("2")
    deploy(world, first, 1)
    world.host.fetch(world.service, second)
    world.host.swap(world.service, second, 2)
    assert runs(world) == (first, 1)
    # Where two can be up at once, the one that is not proven is told: it might be left there.
    said = world.host.running(world.service).differs
    assert said.endswith(".next runs beside it") if isinstance(world, (FakeWorld, DockerWorld)) else said == ""
    world.host.settle(world.service, second)
    assert world.host.running(world.service) == Running(second, 2)
    assert world.answers() == "2"


def test_every_move_can_be_repeated(world: World) -> None:
    first, second, third = (world.publish(version) for version in "123")
    deploy(world, first, 1)
    for _ in range(2):
        world.host.fetch(world.service, second)
    for _ in range(2):
        world.host.swap(world.service, second, 2)
    for _ in range(2):
        world.host.settle(world.service, second)
    world.host.swap(world.service, second, 2)
    assert world.host.running(world.service) == Running(second, 2)
    world.host.fetch(world.service, third)
    world.host.swap(world.service, third, 3)
    for _ in range(2):
        world.host.back(world.service, second, 3)
    assert world.host.running(world.service) == Running(second, 2)
    assert world.answers() == "2"


def test_a_sick_image_is_not_healthy_and_says_why_without_secrets(world: World) -> None:
    image = world.publish("1", healthy=False)
    world.host.fetch(world.service, image)
    world.host.swap(world.service, image, 1)
    proof = world.host.prove(world.service, image, LATER)
    assert proof.health is not Health.HEALTHY
    assert proof.said
    assert "hunter2" not in proof.said


def test_a_host_goes_back_to_what_it_ran(world: World) -> None:
    good, bad = world.publish("1"), world.publish("2", healthy=False)
    deploy(world, good, 1)
    world.host.fetch(world.service, bad)
    world.host.swap(world.service, bad, 2)
    world.host.back(world.service, good, 2)
    assert world.host.running(world.service) == Running(good, 1)
    assert proof_of(world, good).health is Health.HEALTHY
    world.host.settle(world.service, good)
    assert world.answers() == "1"


def test_a_host_goes_back_even_after_the_new_image_was_proven(world: World) -> None:
    first, second = world.publish("1"), world.publish("2")
    deploy(world, first, 1)
    deploy(world, second, 2)
    world.host.back(world.service, first, 2)
    assert proof_of(world, first).health is Health.HEALTHY
    world.host.settle(world.service, first)
    running = world.host.running(world.service)
    assert (running.image, running.generation) == (first, 2)
    assert world.answers() == "1"


def test_a_host_goes_back_to_nothing(world: World) -> None:
    image = world.publish("1", healthy=False)
    world.host.fetch(world.service, image)
    world.host.swap(world.service, image, 1)
    world.host.back(world.service, None, 1)
    assert world.host.running(world.service) == Running(None)
    assert world.answers() == ""


def test_going_back_to_nothing_touches_nothing_that_an_older_generation_brought(world: World) -> None:
    image = world.publish("1")
    deploy(world, image, 1)
    world.host.back(world.service, None, 2)
    assert world.host.running(world.service) == Running(image, 1)
    assert world.answers() == "1"


def test_the_past_keeps_its_hands_off(world: World) -> None:
    first, second = world.publish("1"), world.publish("2")
    deploy(world, second, 2)
    world.host.fetch(world.service, first)
    with pytest.raises(Fenced):
        world.host.swap(world.service, first, 1)
    with pytest.raises(Fenced):
        world.host.back(world.service, None, 1)
    assert world.host.running(world.service) == Running(second, 2)


@pytest.mark.parametrize("proven", [False, True], ids=["unproven", "proven"])
def test_a_generation_that_was_taken_back_does_not_come_again(world: World, proven: bool) -> None:
    first, second = world.publish("1"), world.publish("2")
    deploy(world, first, 1)
    world.host.fetch(world.service, second)
    world.host.swap(world.service, second, 2)
    if proven:
        world.host.settle(world.service, second)
    world.host.back(world.service, first, 2)
    world.host.settle(world.service, first)
    with pytest.raises(Fenced):
        world.host.swap(world.service, second, 2)
    assert world.answers() == "1"
    # A new order is a new generation, also for the same image.
    deploy(world, second, 3)
    assert world.answers() == "2"


def test_one_image_is_kept_to_go_back_to_and_older_ones_are_not(world: World) -> None:
    images = [world.publish(version) for version in "123"]
    for generation, image in enumerate(images, 1):
        deploy(world, image, generation)
    assert world.answers() == "3"
    world.host.settle(world.service, images[2])
    assert world.host.fetch(world.service, images[2]) == 0
    assert world.host.fetch(world.service, images[1]) == 0
    assert world.host.fetch(world.service, images[0]) > 0


def test_a_swap_takes_the_place_of_an_older_one_that_was_never_proven(world: World) -> None:
    first, second, third = (world.publish(version) for version in "123")
    deploy(world, first, 1)
    world.host.fetch(world.service, second)
    world.host.swap(world.service, second, 2)
    deploy(world, third, 3)
    assert world.host.running(world.service) == Running(third, 3)
    assert world.answers() == "3"


def test_the_health_of_an_image_that_is_not_there_is_bad(world: World) -> None:
    assert world.host.prove(world.service, world.publish("1"), LATER).health is Health.UNHEALTHY
