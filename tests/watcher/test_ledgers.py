"""What a ledger does, in a database or in memory: the rules that the rest of the house leans on."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import cast

import pytest

from tests.fakes.ledger import FakeLedger
from tests.watcher.test_decide import hosts, rollout
from watcher.errors import Overtaken
from watcher.ledger import Ledger
from watcher.rollout import HostStage, HostState, Rollout, RolloutStage
from watcher.standing import Weighing


@pytest.fixture(params=["sql", "memory"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    if request.param == "memory":
        yield cast(Ledger, FakeLedger())
        return
    made = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    yield made
    made.close()


def test_who_writes_over_what_is_no_longer_there_is_overtaken(ledger: Ledger, now: datetime) -> None:
    first = ledger.add(rollout(now, RolloutStage.BUILT), now)
    assert first is not None
    assert ledger.add(rollout(now, RolloutStage.BUILT), now) is None
    second = ledger.replace(first, replace(first, wave=1), now)
    assert second.revision == first.revision + 1
    with pytest.raises(Overtaken):
        ledger.replace(first, replace(first, wave=2), now)
    assert ledger.find(Rollout, id=first.id) == second


def test_changes_are_made_together_or_not_at_all(ledger: Ledger, now: datetime) -> None:
    stale = rollout(now, RolloutStage.BUILT)
    written = ledger.write([(None, stale)], now)[0]
    ledger.replace(written, replace(written, wave=1), now)
    (host,) = hosts(now, HostStage.PENDING)
    with pytest.raises(Overtaken):
        ledger.write([(None, host), (written, replace(written, wave=2))], now)
    assert ledger.all(HostState) == ()


def test_entries_are_found_by_their_fields_and_in_order(ledger: Ledger, now: datetime) -> None:
    for generation in (2, 1, 3):
        ledger.add(rollout(now, RolloutStage.DONE if generation < 3 else RolloutStage.BUILT, generation), now)
    ended = ledger.all(Rollout, stage=[RolloutStage.DONE], order="-generation")
    assert [one.generation for one in ended] == [2, 1]
    assert ledger.all(Rollout, order="generation", limit=1)[0].generation == 1
    assert sorted(ledger.rows(Rollout, "generation", "id"))[0] == (1, "shop:1")


def test_what_is_kept_is_as_it_stands(ledger: Ledger, now: datetime) -> None:
    one, two = (ledger.write([(None, rollout(now, RolloutStage.BUILT, n))], now)[0] for n in (1, 2))
    assert ledger.kept(Rollout, "id", [one.id, "another"]) == (one,)
    after = ledger.replace(one, replace(one, wave=1), now)
    assert {entry.id: entry for entry in ledger.kept(Rollout, "id", [one.id, two.id])} == {one.id: after, two.id: two}


def test_the_same_is_written_into_many_entries_and_no_event_comes_of_it(ledger: Ledger, now: datetime) -> None:
    one, two, three = (ledger.write([(None, rollout(now, RolloutStage.BUILT, n))], now)[0] for n in (1, 2, 3))
    told = ledger.last_event()
    ledger.set(Rollout, {"wave": 7}, field="id", of=[one.id, two.id], generation=2)
    assert sorted(ledger.rows(Rollout, "id", "wave", "revision")) == [
        (one.id, one.wave, one.revision),
        (two.id, 7, two.revision + 1),
        (three.id, three.wave, three.revision),
    ]
    assert ledger.last_event() == told


def test_how_an_app_was_weighed_last_stands_until_it_is_weighed_again(ledger: Ledger, now: datetime) -> None:
    assert ledger.weighings(["shop"]) == {}
    for made in (Weighing("a", None, {"pypi": True}), Weighing("b", now, {"pypi": False, "osv": True})):
        ledger.weighed("shop", made)
        assert ledger.weighings(["shop", "blog"]) == {"shop": made}
    assert ledger.weighings(["blog"]) == {}


def test_who_has_the_ledger_at_hand_sees_what_is_written_meanwhile(ledger: Ledger, now: datetime) -> None:
    with ledger.at_hand():
        assert ledger.all(Rollout) == ()
        ledger.add(rollout(now, RolloutStage.BUILT), now)
        assert len(ledger.all(Rollout)) == 1
    assert len(ledger.all(Rollout)) == 1


def test_what_is_held_is_held_once(ledger: Ledger, now: datetime) -> None:
    assert ledger.hold("shop", "anna", "", now)
    assert not ledger.hold("shop", "bert", "", now)
    assert ledger.holds() == {"shop": "anna"}
    assert ledger.is_held("shop")
    assert ledger.unhold("shop", "bert", "", now)
    assert not ledger.unhold("shop", "bert", "", now)
    assert not ledger.is_held("shop")


def test_what_happens_is_counted(ledger: Ledger, now: datetime) -> None:
    before = ledger.last_event()
    ledger.add(rollout(now, RolloutStage.BUILT), now)
    assert ledger.last_event() == before + 1
