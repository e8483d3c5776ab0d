"""What a person orders about a rollout: each is a row with who and why, and found by the look."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.watcher.test_decide import hosts, rollout
from watcher import wish
from watcher.errors import Temporary
from watcher.ledger import Ledger, host_scope
from watcher.rollout import HostStage, RolloutStage


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
    with pytest.raises(wish.NothingTo, match="no rollout"):
        wish.approve(ledger, "other", None, anna)


def test_a_halted_rollout_is_retried_as_a_new_one_of_the_same_image(
    ledger: Ledger, anna: wish.Person, now: datetime
) -> None:
    before = rollout(now, RolloutStage.HALTED, wave=2, approved=3)
    ledger.add(before, now)
    fresh = wish.retry(ledger, "shop", anna)
    assert (fresh.id, fresh.image, fresh.stage, fresh.cause) == ("shop:2", before.image, RolloutStage.BUILT, "retry")
    assert (fresh.wave, fresh.approved) == (0, 0)
    assert last(ledger)[0] == "order.retry"


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
