"""What a person orders about a rollout: each is a row with who and why, and found by the look."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from tests.watcher.test_decide import hosts, rollout
from watcher import rollouts, wish
from watcher.errors import Temporary
from watcher.image import Digest
from watcher.ledger import Ledger, host_scope
from watcher.rollout import HostStage, Rollout, RolloutStage


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    yield made
    made.close()


@pytest.fixture
def anna(now: datetime) -> wish.Person:
    return wish.Person("anna", "because", now)


def last(ledger: Ledger) -> tuple[str, object, object]:
    event = ledger.events(newest_first=True, limit=1)[0]
    return event.kind, event.facts.get("by"), event.facts.get("why")


def test_an_approval_is_for_the_next_wave_of_this_rollout(ledger: Ledger, anna: wish.Person, now: datetime) -> None:
    ledger.add(rollout(now, RolloutStage.ROLLING, wave=1), now)
    assert wish.approve(ledger, "shop", None, anna).approved == 2
    assert last(ledger) == ("order.approve", "anna", "because")
    with pytest.raises(wish.NothingTo, match="approved already"):
        wish.approve(ledger, "shop", 2, anna)
    with pytest.raises(wish.NothingTo, match="no image on its way"):
        wish.approve(ledger, "other", None, anna)


def test_an_order_means_the_rollout_that_touches_hosts_and_not_one_that_is_not_even_built(
    ledger: Ledger, anna: wish.Person, now: datetime
) -> None:
    rolling, wanted = rollout(now, RolloutStage.ROLLING, 1, wave=1), rollout(now, RolloutStage.WANTED, 2)
    ledger.write([(None, rolling), (None, wanted)], now)
    assert wish.approve(ledger, "shop", None, anna).id == "shop:1"
    before, stopped = wish.abort(ledger, "shop", anna)
    assert (before.stage, stopped.id, stopped.stage) == (RolloutStage.ROLLING, "shop:1", RolloutStage.HALTED)
    with pytest.raises(wish.NothingTo, match="no image on its way"):
        wish.approve(ledger, "shop", None, anna)
    assert wish.abort(ledger, "shop", anna)[1].id == "shop:2"
    with pytest.raises(wish.NothingTo, match="no rollout under way"):
        wish.abort(ledger, "shop", anna)


def test_who_aborts_what_another_made_way_for_aborts_both(ledger: Ledger, anna: wish.Person, now: datetime) -> None:
    older = replace(rollout(now, RolloutStage.SUPERSEDED, 1, wave=1), rolling_at=now)
    newer, newest = rollout(now, RolloutStage.BUILT, 2), rollout(now, RolloutStage.BUILT, 3)
    ledger.write([(None, older), (None, newer), (None, newest)], now)
    _, stopped = wish.abort(ledger, "shop", anna)
    assert (stopped.id, stopped.rolling_at) == ("shop:3", None), "shop:2 comes yet"
    _, stopped = wish.abort(ledger, "shop", anna)
    assert (stopped.id, stopped.rolling_at) == ("shop:2", now)
    assert rollouts.current(ledger, "shop") == stopped


def of(image: int, generation: int, now: datetime, **more: object) -> Rollout:
    made = rollout(now, RolloutStage.DONE, generation, rolling_at=now, image=Digest(f"sha256:{image:064x}"))
    return replace(made, **more)  # type: ignore[arg-type]


def has_rolled(ledger: Ledger, made: Rollout, now: datetime) -> None:
    ledger.replace(made, made.at(RolloutStage.ROLLING, now).at(RolloutStage.DONE, now), now)


def test_each_rollback_goes_one_image_further_back(ledger: Ledger, anna: wish.Person, now: datetime) -> None:
    ledger.write([(None, of(n, n, now)) for n in (1, 2, 3)], now)
    for expected in (2, 1):
        made = wish.rollback(ledger, "shop", "", anna)
        assert made.image == of(expected, 0, now).image, "and never to what was rolled back before"
        has_rolled(ledger, made, now)
    with pytest.raises(wish.NothingTo, match="no earlier image"):
        wish.rollback(ledger, "shop", "", anna)
    assert wish.rollback(ledger, "shop", "shop:3", anna).image == of(3, 0, now).image, "but to whatever is named"


def test_a_rollback_is_from_what_was_rolled_out_and_not_from_what_waits(
    ledger: Ledger, anna: wish.Person, now: datetime
) -> None:
    waits = of(3, 3, now, stage=RolloutStage.BUILT, rolling_at=None, held=True)
    ledger.write([(None, one) for one in (of(1, 1, now), of(2, 2, now), waits)], now)
    assert wish.rollback(ledger, "shop", "", anna).image == of(1, 0, now).image


def test_after_a_halt_a_rollback_is_to_the_image_before(ledger: Ledger, anna: wish.Person, now: datetime) -> None:
    halted = of(3, 3, now, stage=RolloutStage.HALTED)
    ledger.write([(None, one) for one in (of(1, 1, now), of(2, 2, now), halted)], now)
    assert wish.rollback(ledger, "shop", "", anna).image == of(2, 0, now).image


def test_an_urgent_rollback_stands_in_the_audit_as_such(ledger: Ledger, anna: wish.Person, now: datetime) -> None:
    ledger.write([(None, of(n, n, now)) for n in (1, 2)], now)
    assert wish.rollback(ledger, "shop", "", anna, urgent=True).urgent
    (ordered,) = [event for event in ledger.events() if event.kind == "order.rollback"]
    assert ordered.facts == {"by": "anna", "why": "because", "urgent": True}


def test_an_order_and_its_row_are_written_together_and_insist_when_somebody_else_writes(
    ledger: Ledger, anna: wish.Person, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.add(rollout(now, RolloutStage.ROLLING, wave=1), now)
    between: list[int] = []
    real = rollouts.unfinished

    def somebody_writes(asked: Ledger, app: str) -> tuple[Rollout, ...]:
        seen = real(asked, app)
        between.append(1)
        if len(between) < 3:
            asked.replace(seen[0], replace(seen[0], wave=seen[0].wave + 1), now)
        return seen

    monkeypatch.setattr(rollouts, "unfinished", somebody_writes)
    _, stopped = wish.abort(ledger, "shop", anna)
    assert stopped.wave == 3
    assert [event.kind for event in ledger.events()].count("order.abort") == 1, "what was not done is not noted"


def test_a_halted_rollout_is_retried_as_a_new_one_of_the_same_image(
    ledger: Ledger, anna: wish.Person, now: datetime
) -> None:
    before = rollout(now, RolloutStage.HALTED, wave=2, approved=3, released_at=now, merged_at=now)
    ledger.add(before, now)
    fresh = wish.retry(ledger, "shop", anna)
    assert (fresh.id, fresh.image, fresh.stage, fresh.cause) == ("shop:2", before.image, RolloutStage.BUILT, "retry")
    assert (fresh.wave, fresh.approved) == (0, 0)
    assert (fresh.released_at, fresh.merged_at) == (now, now), "it is the same release that is on its way"
    assert [event.kind for event in ledger.events()][-2:] == ["order.retry", "rollout.built"]


def test_a_retry_of_what_waits_for_its_next_attempt_is_due_at_once(
    ledger: Ledger, anna: wish.Person, now: datetime
) -> None:
    ledger.add(rollout(now, RolloutStage.ROLLING, wave=1), now)
    (host,) = hosts(now, HostStage.PROVING)
    ledger.add(host.again(now, Temporary("away")), now)
    assert wish.retry(ledger, "shop", anna).id == "shop:1"
    (after,) = ledger.all(type(host))
    assert after.due_at is None
    with pytest.raises(wish.NothingTo, match="under way"):
        wish.retry(ledger, "shop", anna)


def test_there_is_nothing_to_retry_where_everything_went_well(ledger: Ledger, anna: wish.Person, now: datetime) -> None:
    ledger.add(rollout(now, RolloutStage.DONE), now)
    with pytest.raises(wish.NothingTo, match="is done"):
        wish.retry(ledger, "shop", anna)


def test_a_cordon_is_a_row_with_who_and_why(ledger: Ledger, anna: wish.Person) -> None:
    scope = host_scope("field", "kiosk-1")
    assert wish.cordon(ledger, scope, anna)
    assert not wish.cordon(ledger, scope, anna)
    assert ledger.holds() == {"host:field/kiosk-1": "anna: because"}
    assert last(ledger) == ("order.cordon", "anna", "because")
    assert not ledger.is_held("shop")
    assert wish.uncordon(ledger, scope, anna)
    assert last(ledger)[0] == "order.uncordon"


def test_a_retry_means_every_host_that_waits_whatever_is_newer(
    ledger: Ledger, anna: wish.Person, now: datetime
) -> None:
    ledger.write([(None, rollout(now, RolloutStage.ROLLING, 1, rolling_at=now))], now)
    ledger.write([(None, rollout(now, RolloutStage.WANTED, 2))], now)
    (host,) = hosts(now, HostStage.PROVING)
    ledger.add(host.again(now, Temporary("away")), now)
    wish.retry(ledger, "shop", anna)
    assert ledger.all(type(host))[0].due_at is None
