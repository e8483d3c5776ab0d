"""Everything asked at once, for a person who waits."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import MONDAY
from watcher import config
from watcher.desk import Desk
from watcher.head import Head
from watcher.ledger import Ledger
from watcher.lookup import Lookup, Outcome
from watcher.order import Order
from watcher.pin import Pin
from workers import refresh
from workers.hands import Nobody
from workers.refresh import ask_all

CONFIG = """
[toplayer]
state = "{state}"
[indexes.first]
kind = "pypi"
url = "https://first.example"
[indexes.second]
kind = "pypi"
url = "https://second.example"
[advisories.osv]
kind = "osv"
url = "https://osv.example"
"""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    settings = config.parse(CONFIG.format(state=tmp_path), "test").model_copy(update={"apps": {"shop": None}})
    pin = Pin(ecosystem="pypi", package="alpha", version="1.0", lock="uv.lock")
    ledger.add(Head(app="shop", pins=(pin,)), MONDAY)
    yield Desk(settings, ledger, lambda: MONDAY, Nobody(), fresh_since=MONDAY)
    ledger.close()


def test_indexes_are_asked_at_the_same_time_and_sources_after_them(desk: Desk) -> None:
    together, asked = threading.Barrier(2), list[str]()

    def carry(order: Order, name: str, desk: Desk) -> bool:
        if name != "osv":
            together.wait(30)
        asked.append(name)
        return True

    desk.ledger.add(Lookup(index="first", package="alpha", outcome=Outcome.ANSWER), MONDAY)

    assert ask_all(desk, carry, lambda _: None) == []
    assert (sorted(asked[:2]), asked[2:]) == (["first", "second"], ["osv"])


def test_who_stands_behind_another_index_is_asked_when_that_has_not_got_the_package(desk: Desk) -> None:
    asked = list[str]()

    def carry(order: Order, name: str, desk: Desk) -> bool:
        asked.append(name)
        if name == "first" and asked.count(name) == 1:
            desk.ledger.add(Lookup(index="first", package="alpha", outcome=Outcome.ABSENT), MONDAY)
        if name == "second" and asked.count(name) == 2:
            desk.ledger.add(Lookup(index="second", package="alpha", outcome=Outcome.ANSWER), MONDAY)
        return True

    assert ask_all(desk, carry, lambda _: None) == []
    assert sorted(asked) == ["first", "osv", "second", "second"]


def test_who_is_being_asked_by_another_process_is_waited_for_and_then_named(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "_PATIENCE", 0.3)

    def carry(order: Order, name: str, desk: Desk) -> bool:
        return name != "second"

    assert ask_all(desk, carry, lambda _: None) == ["second"]
