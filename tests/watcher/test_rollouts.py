"""Which of an app's rollouts counts, of however many there were."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.watcher.test_decide import bump, head, hosts, rollout
from watcher import decide, rollouts
from watcher.bump import BumpStage
from watcher.ledger import Ledger
from watcher.rollout import HostStage, Rollout, RolloutStage

MINUTE = timedelta(minutes=1)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    yield made
    made.close()


def known(ledger: Ledger, now: datetime, *found: Rollout) -> None:
    ledger.write([(None, one) for one in found], now)


def test_only_the_last_rollout_that_began_to_roll_has_a_say_over_hosts(ledger: Ledger, now: datetime) -> None:
    done, later = rollout(now, RolloutStage.DONE, 3, rolling_at=now), rollout(now, RolloutStage.HALTED, 4)
    known(ledger, now, done, later)
    assert rollouts.current(ledger, "shop") == done
    assert rollouts.newest(ledger, "shop") == later
    began = rollout(now, RolloutStage.ROLLING, 5, rolling_at=now)
    known(ledger, now, began)
    assert rollouts.current(ledger, "shop") == began
    assert rollouts.current(ledger, "other") is None


@pytest.mark.parametrize("stage", [RolloutStage.ROLLING, RolloutStage.HALTED])
def test_the_fleet_is_at_the_last_image_that_was_done_unless_a_later_one_is_under_way_or_went_back(
    ledger: Ledger, now: datetime, stage: RolloutStage
) -> None:
    done = rollout(now, RolloutStage.DONE, 3, rolling_at=now)
    known(ledger, now, done, rollout(now, RolloutStage.HALTED, 4, image=None))
    assert rollouts.kept(ledger, "shop") == done
    known(ledger, now, rollout(now, stage, 5, rolling_at=now))
    assert rollouts.kept(ledger, "shop") is None


def test_a_commit_is_wanted_once_and_again_when_the_branch_comes_back_to_it(ledger: Ledger, now: datetime) -> None:
    first = rollouts.of_head(ledger, head(now), now)
    assert (first.id, first.commit, first.cause) == ("shop:1", "c1", "commit")
    assert not decide.is_wanted(head(now), first)
    assert not decide.is_wanted(replace(head(now), commit=""), first)
    known(ledger, now, first, rollout(now, RolloutStage.DONE, 2))
    assert decide.is_wanted(head(now), rollouts.of_branch(ledger, "shop")), "somebody has put the branch back"


def test_what_was_rolled_back_is_not_wanted_again_while_it_stands_on_the_branch(ledger: Ledger, now: datetime) -> None:
    bad = replace(head(now), commit="c2")
    back = rollout(now, RolloutStage.DONE, 3, commit="c1", cause="rollback")
    known(ledger, now, rollout(now, RolloutStage.DONE, 1), rollout(now, RolloutStage.ROLLED_BACK, 2), back)
    assert not decide.is_wanted(bad, rollouts.of_branch(ledger, "shop"))
    known(ledger, now, replace(back, id="shop:4", generation=4, cause="retry"))
    assert not decide.is_wanted(bad, rollouts.of_branch(ledger, "shop"))
    assert rollouts.next_generation(ledger, "shop") == 5


def test_a_rollout_knows_the_oldest_release_that_it_brings_and_so_does_one_of_the_same_commit(
    ledger: Ledger, now: datetime
) -> None:
    known(ledger, now, rollout(now, RolloutStage.DONE, 1, commit="c0"))
    carried = bump(now, "1.5", released_at=now - 90 * MINUTE).at(BumpStage.MERGED, now - MINUTE)
    brought = [
        bump(now, f"2.{n}", released_at=now - n * MINUTE).at(BumpStage.MERGED, now + MINUTE) for n in range(1, 4)
    ]
    ledger.write([(None, one) for one in (carried, *brought)], now)
    tip = replace(head(now), committed_at=now)
    fresh = rollouts.of_head(ledger, tip, now + MINUTE)
    assert (fresh.released_at, fresh.merged_at) == (now - 3 * MINUTE, now)
    known(ledger, now, fresh)
    again = rollouts.of_head(ledger, tip, now + 2 * MINUTE, cause="deploy")
    assert (again.released_at, again.merged_at, again.cause) == (now - 3 * MINUTE, now, "deploy")


def test_after_a_lost_ledger_generations_go_on_above_what_hosts_showed(ledger: Ledger, now: datetime) -> None:
    """The first rollout of a new ledger is refused by the first host, which remembers more than the ledger does."""
    known(ledger, now, rollout(now, RolloutStage.HALTED, 1, rolling_at=now))
    (refused,) = hosts(now, HostStage.RETURNED)
    ledger.add(replace(refused, found=7), now)
    assert rollouts.next_generation(ledger, "shop") == 8
