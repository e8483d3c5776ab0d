"""What a person orders about a pin: which release that is, and what becomes of it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.fakes.index import FakeIndex
from tests.watcher.test_weigh import INDEX, World, settings
from watcher import wish
from watcher.bump import Bump, BumpStage
from watcher.errors import NotFound
from watcher.head import Head
from watcher.ledger import Ledger
from watcher.pin import Pin

MORE = '[indexes.own]\nkind = "pypi"\nurl = "https://own.example/simple"\nonly = ["alpha"]\n'


@pytest.fixture
def world(tmp_path: Path, now: datetime) -> Iterator[World]:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    yield World(tmp_path, ledger, now, settings(tmp_path), FakeIndex())
    ledger.close()


def ordered(world: World, version: str = "", package: str = "alpha") -> Bump:
    anna = wish.Person("anna", "", world.now)
    return wish.bump(world.settings, world.ledger, "shop", package, version, anna)


def test_it_is_the_newest_that_can_take_the_place_of_the_pin(world: World) -> None:
    world.pins(alpha="1.0")
    for version in ("0.9", "1.1", "1.2", "2.0rc1"):
        world.index.publish("alpha", version, at=world.now)
    world.index.yank("alpha", "1.2")
    world.poll()
    bump = ordered(world)
    assert (bump.from_version, bump.to_version, bump.by) == ("1.0", "1.1", "anna")


def test_a_pin_on_a_pre_release_never_goes_back_to_a_stable_one(world: World) -> None:
    world.pins(alpha="2.0rc1")
    for version in ("1.9", "2.0rc1"):
        world.index.publish("alpha", version)
    world.poll()
    with pytest.raises(wish.NothingTo, match=r"already pins alpha 2\.0rc1"):
        ordered(world)
    with pytest.raises(wish.NothingTo, match=r"pins alpha 2\.0rc1, which is newer"):
        ordered(world, "1.9")

    world.index.publish("alpha", "2.0rc2")
    world.now += timedelta(hours=1)
    world.poll()
    assert ordered(world).to_version == "2.0rc2"


def test_only_the_index_that_answers_for_the_pin_counts(world: World) -> None:
    world.pins(alpha="1.0")
    world.index.publish("alpha", "9.0")
    world.poll()
    world.settings = settings(world.state, indexes=INDEX + MORE)
    with pytest.raises(wish.NothingTo, match="alpha cannot be looked up: its index has not been asked yet"):
        ordered(world)

    world.index = FakeIndex()
    world.index.publish("alpha", "1.1")
    world.poll("own")
    assert ordered(world).to_version == "1.1"
    with pytest.raises(NotFound):
        ordered(world, "9.0")


def test_a_version_is_meant_however_it_is_spelled(world: World) -> None:
    world.pins(alpha="1.0")
    world.index.publish("alpha", "1.1rc1")
    world.poll()
    assert ordered(world, "1.1.RC1").to_version == "1.1rc1"


def test_of_several_versions_it_is_about_the_one_in_the_image_that_is_older(world: World) -> None:
    world.pins(alpha="2.0")
    world.also(Pin(ecosystem="pypi", package="alpha", version="1.0", lock="uv.lock", marker="python_version < '3.9'"))
    for version in ("1.1", "2.1"):
        world.index.publish("alpha", version)
    world.poll()
    assert ordered(world).from_version == "2.0"
    assert ordered(world, "1.1").from_version == "1.0"


def test_what_is_in_no_image_can_be_moved_by_hand(world: World) -> None:
    world.pins(alpha="1.0")
    world.also(Pin(ecosystem="pypi", package="gamma", version="1.0", lock="uv.lock", groups=("dev",)))
    world.index.publish("gamma", "1.1")
    world.poll()
    assert ordered(world, package="gamma").to_version == "1.1"


def test_a_tag_that_has_moved_is_taken_if_it_is_named(world: World) -> None:
    world.pins(alpha="1.0")
    world.index.publish("alpha", "1.1")
    world.index.retag("alpha", "1.1")
    world.poll()
    with pytest.raises(wish.NothingTo):
        ordered(world)
    found = ordered(world, "1.1")
    world.ledger.replace(found, found.at(BumpStage.PROPOSED, world.now, branch="b", commit="c"), world.now)
    head = world.ledger.find(Head, app="shop")
    assert head is not None
    world.ledger.replace(head, replace(head, branches=(("b", "c"),)), world.now)
    world.weigh()
    assert world.bumps() == {"shop:alpha:1.1": BumpStage.PROPOSED}, "a person has looked"
