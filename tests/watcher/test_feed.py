"""Rounds by a feed of changes: what they write, and that nothing is missed, whatever happens in between."""

import contextlib
import itertools
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MONDAY
from tests.rig.composer_repository import ComposerRepository
from tests.rig.simple_index import ERROR
from watcher import config, feed
from watcher.head import Head
from watcher.http import Http, Limits
from watcher.indexes.packagist import Packagist
from watcher.ledger import Ledger
from watcher.lookup import IndexState, Lookup, Outcome
from watcher.pin import Pin
from watcher.poll import ask, poll_index
from watcher.settings import Settings
from watcher.settings.app import AppSettings
from watcher.turn import Turn
from watcher.versions.composer import is_a_branch
from watcher.wishes import PolicySettings

ROUND, DAY = timedelta(minutes=15), timedelta(days=1)
SHOP = AppSettings.model_construct(policy=PolicySettings())  # type: ignore[call-arg]
NAMES = [f"acme/part-{number}" for number in range(6)]


class World:
    """One app, one repository, and the ledger between them."""

    def __init__(self, root: Path, server: ComposerRepository, http: Http) -> None:
        self.server, self.http, self.now = server, http, MONDAY
        self.settings = _settings(root, server)
        self.index = Packagist(self.settings.indexes["packages"])
        self.ledger = Ledger(f"sqlite:///{root}/ledger.db")
        self.state = IndexState(index="packages")
        self.pins: tuple[Pin, ...] = ()
        self.ledger.add(Head(app="shop"), self.now)

    def pin(self, *names: str, dev: frozenset[str] = frozenset()) -> None:
        """From now on, the lock has these."""
        head = self.ledger.find(Head, app="shop")
        assert head is not None
        self.pins = tuple(_pin(name, "dev" if name in dev else "stable") for name in names)
        self.ledger.replace(head, replace(head, pins=self.pins), self.now)

    def poll(self, after: timedelta = ROUND) -> list[str]:
        """A round, and what it asked for."""
        self.now += after
        self.server.asked.clear()
        turn = Turn(self.now, self.now, at_once=True)
        self.state = poll_index(self.state, self.settings, self.ledger, self.index, self.http, turn)
        return [asked.path.partition("?")[0] for asked in self.server.asked]

    def die(self, amid: bool) -> None:
        """A round of a process that dies: amid the answers, or when all is written but how the index is."""
        before = self.state
        if amid:
            dying = _Dying(self.settings.indexes["packages"])
            turn = Turn(self.now, self.now, at_once=True)
            with contextlib.suppress(Killed):
                poll_index(before, self.settings, self.ledger, dying, self.http, turn)
        else:
            self.poll()
        self.state = before

    def ask(self, *pins: Pin) -> None:
        """What a command does for a pin of which it has to know more."""
        ask(pins, self.settings, self.ledger, self.http, lambda: self.now, lambda _: self.index)

    def lookup(self, name: str) -> Lookup:
        found = self.ledger.find(Lookup, index="packages", package=name)
        assert found is not None
        return found

    def versions(self, name: str) -> set[str]:
        return {release.version for release in self.lookup(name).releases}


class Killed(BaseException):
    """The process is gone."""


class _Dying(Packagist):
    def look_up(self, *given: Any, **more: Any) -> Iterator[Lookup]:
        yield from itertools.islice(super().look_up(*given, **more), 1)
        raise Killed


def _settings(root: Path, server: ComposerRepository) -> Settings:
    text = f"""
        [toplayer]
        state = "{root}"
        [indexes.packages]
        kind = "packagist"
        url = "{server.url}"
        """
    return config.parse(text, "test").model_copy(update={"apps": {"shop": SHOP}})


def _pin(name: str, stability: str = "stable", version: str = "1.0.0") -> Pin:
    return Pin(ecosystem="packagist", package=name, version=version, lock="composer.lock", stability=stability)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ComposerRepository() as server, Http(limits=Limits(attempts=1, pause=0.01, stall=2.0, lag=0.01)) as http:
        for name in NAMES:
            server.publish(name, "1.0.0", files={})
        made = World(tmp_path, server, http)
        made.pin(*NAMES)
        yield made
        made.ledger.close()


def at_rest(world: World) -> None:
    """The first round asks for everything, the second only the feed: from then on the index has the mark."""
    world.poll()
    assert world.state.told is None
    assert world.poll() == ["/changes.json"]
    assert world.state.told is not None


def test_a_quiet_round_writes_nothing_but_how_the_index_is(world: World) -> None:
    at_rest(world)
    before = world.ledger.all(Lookup)
    assert world.poll() == ["/changes.json"]
    assert world.ledger.all(Lookup) == before
    assert (world.state.polled_at, world.state.answered_at, world.state.packages) == (world.now, world.now, 6)
    shown = feed.seen(before[0], world.state)
    assert (shown.looked_at, shown.answered_at) == (world.now, world.now), "people are told when it was asked really"


def test_what_is_new_is_asked_for_and_the_others_keep_how_far_they_were_told(world: World) -> None:
    at_rest(world)
    for _ in range(100):
        world.poll()
    world.server.publish(NAMES[2], "1.1.0", files={})
    asked = world.poll()
    assert asked.count("/changes.json") == 1, "it is read once for all"
    assert asked.count(f"/p2/{NAMES[2]}.json") == 1
    assert [path for path in asked if path.startswith("/p2/")] == [f"/p2/{NAMES[2]}.json"]
    assert world.versions(NAMES[2]) == {"1.0.0", "1.1.0"}
    assert world.lookup(NAMES[0]).answered_at == world.now
    assert world.poll() == ["/changes.json"]


def test_a_package_that_is_new_in_the_lock_costs_the_others_nothing(world: World) -> None:
    world.pin(*NAMES[1:])
    at_rest(world)
    for _ in range(100):
        world.poll()
    world.pin(*NAMES)
    asked = world.poll()
    assert [path for path in asked if path.startswith("/p2/")] == [f"/p2/{NAMES[0]}.json"]
    world.poll()
    assert world.poll() == ["/changes.json"]


def test_who_leaves_the_lock_is_told_nothing_and_who_comes_back_hears_of_it(world: World) -> None:
    at_rest(world)
    world.pin(*NAMES[1:])
    world.poll()
    world.server.publish(NAMES[0], "1.1.0", files={})
    world.poll()
    world.pin(*NAMES)
    world.poll()
    assert world.versions(NAMES[0]) == {"1.0.0", "1.1.0"}


def test_a_feed_that_is_away_leaves_every_package_with_its_mark(world: World) -> None:
    at_rest(world)
    told = world.state.told
    world.server.spoil("/changes.json", ERROR)
    world.server.publish(NAMES[0], "1.1.0", files={})
    asked = world.poll()
    assert len([path for path in asked if path.startswith("/p2/")]) == 6
    assert world.versions(NAMES[0]) == {"1.0.0", "1.1.0"}
    assert (world.state.told, world.state.unknown) == (None, 0)
    world.server.mend("/changes.json")
    assert told is not None
    world.poll()
    assert world.poll() == ["/changes.json"]


@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_missed_whatever_happens_in_between(world: World, seed: int) -> None:
    life = random.Random(seed)
    dev: frozenset[str] = frozenset()
    for step in range(50):
        name = life.choice(NAMES)
        what = life.choice(["publish", "publish", "branch", "withdraw", "lock", "ask", "peace", "peace", "peace"])
        match what:
            case "publish":
                world.server.publish(name, f"1.{step + 1}.0", files={})
            case "branch":
                world.server.publish(name, f"dev-b{step}", files={})
            case "withdraw" if name in world.server.versions:
                world.server.withdraw(name)
            case "lock":
                dev = frozenset(life.sample(NAMES, life.randint(0, 2)))
                world.pin(*life.sample(NAMES, life.randint(1, 6)), dev=dev)
            case "ask":
                world.ask(_pin(name, version="9.9.9"))
        path = f"/p2/{life.choice(NAMES)}.json"
        fault = life.choice(["none", "none", "none", "down", "path", "feed", "late", "amid", "unnoted"])
        world.server.down = fault == "down"
        if fault in ("path", "feed"):
            world.server.spoil(path if fault == "path" else "/changes.json", ERROR)
        # The servers of the files are behind by a moment, and not by an hour.
        late = fault == "late" and what in ("publish", "branch")
        world.server.lag = {name, f"{name}~dev"} if late else set()
        world.server.rest = 0 if late else life.choice([0, 900])
        if fault in ("amid", "unnoted"):
            world.now += ROUND
            world.die(amid=fault == "amid")
        world.poll(life.choice([ROUND, ROUND, ROUND, DAY]))
        world.server.down, world.server.lag = False, set()
        if fault in ("path", "feed"):
            world.server.mend(path if fault == "path" else "/changes.json")
        if life.random() < 0.5:
            _check(world, dev)


def _check(world: World, dev: frozenset[str]) -> None:
    """After a round in which nothing goes wrong, the ledger has what the repository has."""
    world.poll()
    for pin in world.pins:
        there = world.server.versions.get(pin.package, {})
        wanted = {one for one in there if pin.package in dev or not is_a_branch(one)}
        assert world.versions(pin.package) == wanted, pin.package
        assert world.lookup(pin.package).outcome is (Outcome.ANSWER if there else Outcome.ABSENT)
