"""What a host really runs, beside what it should: each way in which somebody can have changed it by hand."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.workers.fleet.worlds import FakeWorld, deploy
from workers.fleet.drift import difference


@pytest.fixture
def world() -> FakeWorld:
    return FakeWorld()


def test_a_host_that_runs_what_it_should_has_no_drift(world: FakeWorld) -> None:
    image = world.publish("1")
    deploy(world, image, 1)
    assert difference(world.host, world.service, image) == ""


def test_a_host_that_nothing_was_brought_to_has_none_either(world: FakeWorld) -> None:
    assert difference(world.host, world.service, None) == ""


def test_another_image_is_told_by_both_names(world: FakeWorld) -> None:
    first, second = world.publish("1"), world.publish("2")
    deploy(world, first, 1)
    assert difference(world.host, world.service, second) == f"runs {first.short}, and should run {second.short}"


def test_a_container_that_was_removed_is_told(world: FakeWorld) -> None:
    image = world.publish("1")
    assert difference(world.host, world.service, image) == f"runs nothing, and should run {image.short}"


def test_a_container_that_was_stopped_is_told(world: FakeWorld) -> None:
    image = world.publish("1")
    deploy(world, image, 1)
    assert world.host.current is not None
    world.host.current = replace(world.host.current, up=False)
    assert "is not well" in difference(world.host, world.service, image)


def test_another_specification_is_told(world: FakeWorld) -> None:
    image = world.publish("1")
    deploy(world, image, 1)
    changed = replace(world.service, stop_grace=timedelta(hours=1))
    assert "another specification" in difference(world.host, changed, image)
