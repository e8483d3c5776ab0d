"""An index without a feed is asked less often about what has to wait anyway, and nothing comes later by it."""

import itertools
import os
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MONDAY
from tests.fakes.index import FakeIndex
from watcher import config
from watcher.desk import Desk
from watcher.head import Head
from watcher.http import Http
from watcher.ledger import Ledger
from watcher.look import look
from watcher.lookup import IndexState, Lookup
from watcher.order import Lane, Order
from watcher.pin import Pin
from watcher.poll import poll_index
from watcher.settings import Settings
from watcher.turn import Turn

DAY, HOUR, ROUND = timedelta(days=1), timedelta(hours=1), timedelta(minutes=15)
NAMES = [f"part-{number}" for number in range(5)]
LIVES = int(os.environ.get("TOPLAYER_LIVES", "3"))


class World:
    """One app, one index, the ledger between them, and what is true."""

    def __init__(self, root: Path) -> None:
        self.now, self.root, self.cooldown = MONDAY + timedelta(minutes=7), root, 3
        self.ledger = Ledger(f"sqlite:///{root}/ledger.db")
        self.index, self.http = FakeIndex(), Http()
        self.published: dict[str, dict[int, datetime]] = {name: {} for name in NAMES}
        self.yanked: dict[tuple[str, int], datetime] = {}
        self.at: dict[str, int] = {}
        self.had: dict[str, int] = {}
        self.polls = 0
        self._settings: dict[int, Settings] = {}
        for name in NAMES:
            self.publish(name, self.now - 100 * DAY)
        self.ledger.add(Head(app="shop"), self.now)
        self.lock(dict.fromkeys(NAMES, 1))

    @property
    def settings(self) -> Settings:
        if self.cooldown not in self._settings:
            self._settings[self.cooldown] = self._configured()
        return self._settings[self.cooldown]

    def _configured(self) -> Settings:
        text = f"""
        [toplayer]
        state = "{self.root}"
        [advisories]
        [indexes.pypi]
        kind = "pypi"
        url = "https://index.example/simple"
        [apps.shop]
        repository = "{self.root}/repo"
        lock = "requirements.txt"
        fleet = "ff"
        policy = {{ cooldown = "{self.cooldown}d", watch = "all" }}
        [apps.shop.image]
        repository = "oci:{self.root}/images"
        python = "3.12"
        [[fleets.ff.hosts]]
        name = "h1"
        address = "dir:{self.root}/h1"
        """
        return config.parse(text, "test")

    # --- what happens ---

    def publish(self, name: str, at: datetime) -> None:
        number = len(self.published[name]) + 1
        self.published[name][number] = at
        self.index.publish(name, f"{number}.0", at=at)

    def yank(self, name: str) -> None:
        number = max(self.published[name])
        if number > 1 and (name, number) not in self.yanked:
            self.yanked[name, number] = self.now
            self.index.yank(name, f"{number}.0")

    def lock(self, at: dict[str, int]) -> None:
        """From now on the branch has these."""
        self.at = at
        self.had |= at
        pins = tuple(
            Pin(ecosystem="pypi", package=name, version=f"{number}.0", lock="requirements.txt")
            for name, number in at.items()
        )
        head = self.ledger.find(Head, app="shop")
        assert head is not None
        commit = f"c{head.revision}"
        self.ledger.replace(head, replace(head, commit=commit, pins=pins, surveyed_at=self.now), self.now)

    def merge(self) -> None:
        """What is proposed comes in."""
        self.lock({name: int(float(self.candidate(name) or number)) for name, number in self.at.items()})

    def rounds(self, count: int, dies: str = "") -> None:
        """Quarters of an hour go by; in the first of them, the process that polls may die."""
        for _ in range(count):
            self.now += ROUND
            post = _Post()
            desk = Desk(self.settings, self.ledger, lambda: self.now, post)
            look(desk)
            if post.polls:
                self.poll(Turn(self.now, self.now - ROUND / 2), dies)
                look(desk)
            dies = ""

    def poll(self, turn: Turn, dies: str = "") -> None:
        self.polls += 1
        state = self.ledger.find(IndexState, index="pypi")
        assert state is not None
        index = _Dying(self.index) if dies == "amid" else self.index
        try:
            after = poll_index(state, self.settings, self.ledger, index, self.http, turn)
        except Killed:
            return
        if dies != "unnoted":
            self.ledger.replace(state, after, self.now)

    # --- what is promised ---

    def candidate(self, name: str) -> str:
        standing = {one.decision.package: one.decision for one in self.ledger.standing("shop")}
        return standing[name].candidate

    def check(self) -> None:
        """What is decided is what would be decided if everything had been asked in the last two rounds."""
        for name, current in self.at.items():
            wanted = {self._newest(name, current, *when) for when in itertools.product([0, 1, 2], repeat=2)}
            assert self.candidate(name) in wanted, (name, self.now)

    def _newest(self, name: str, current: int, published: int, yanked: int) -> str:
        free_by = self.now - self.cooldown * DAY - published * ROUND
        gone_by = self.now - yanked * ROUND
        gone = {number for (package, number), at in self.yanked.items() if package == name and at <= gone_by}
        free = [number for number, at in self.published[name].items() if at <= free_by and number not in gone]
        return f"{max(free)}.0" if free and max(free) > current else ""


class Killed(BaseException):
    """The process is gone."""


class _Dying:
    """The index of a process that dies after the second answer."""

    def __init__(self, index: FakeIndex) -> None:
        self._index = index

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    def look_up(self, *given: Any, **more: Any) -> Iterator[Lookup]:
        yield from itertools.islice(self._index.look_up(*given, **more), 2)
        raise Killed


class _Post:
    polls = False

    def send(self, order: Order, id: str, lane: Lane = Lane.HERE) -> None:
        self.polls |= order is Order.POLL

    def nudge(self) -> None:
        return


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.ledger.close()


def test_what_is_settled_is_asked_about_once_a_day(world: World) -> None:
    world.rounds(96)
    before = world.polls
    world.rounds(4 * 96)
    assert 4 <= world.polls - before <= 4 * len(NAMES)
    world.publish(NAMES[0], world.now)
    world.rounds(3 * 96 + 2)
    assert world.candidate(NAMES[0]) == "2.0", "it is there when it is free"


@pytest.mark.parametrize("seed", range(LIVES))
def test_nothing_comes_later_by_it_whatever_happens_in_between(world: World, seed: int) -> None:
    life = random.Random(seed)
    world.rounds(2)
    for _ in range(30):
        name, dies = life.choice(NAMES), ""
        match life.choice(
            ["publish", "publish", "yank", "yank", "merge", "lock", "policy", "down", "dies", "check", "peace"]
        ):
            case "publish":
                world.publish(name, world.now)
            case "yank":
                world.yank(life.choice([one for one in world.at if world.candidate(one)] or NAMES))
            case "merge":
                world.merge()
            case "lock":
                world.lock({name: world.had[name] for name in life.sample(NAMES, life.randint(1, 5))})
            case "policy":
                world.cooldown = life.choice([0, 1, 3])
            case "down":
                world.index.down = True
                world.rounds(life.randint(1, 24))
                world.index.down = False
            case "dies":
                dies = life.choice(["amid", "unnoted"])
            case "check":
                world.poll(Turn(world.now, world.now, at_once=True))
        world.rounds(life.choice([3, 3, 3, 8, 40, 96]), dies)
        world.check()
