"""A rollout that is done keeps its hosts at its image: the cordoned, the new, and those that somebody changed."""

from dataclasses import replace
from datetime import datetime, timedelta

from tests.watcher.test_decide import hosts, rollout
from watcher import decide
from watcher.decide.hosts import WATCHED
from watcher.plan import Plan, verdict
from watcher.rollout import HostStage, HostState, Rollout, RolloutStage

HOUR = timedelta(hours=1)
CORDONED = Plan(cordoned={"h2": "anna: broken fan"})
DONE, PENDING = HostStage.DONE, HostStage.PENDING


def turned(
    rollout: Rollout, fleet: tuple[HostState, ...], plan: Plan, now: datetime, *others: Rollout, paused: bool = False
) -> tuple[Rollout, tuple[HostState, ...]]:
    return decide.turned(rollout, fleet, others, plan, paused, now)


def test_a_cordoned_host_does_not_keep_a_rollout_open(now: datetime) -> None:
    after, _ = turned(rollout(now, RolloutStage.ROLLING, wave=2), hosts(now, DONE, PENDING, DONE), CORDONED, now)
    assert after.stage is RolloutStage.DONE


def test_a_cordoned_host_that_was_touched_is_finished_first(now: datetime) -> None:
    rolling = rollout(now, RolloutStage.ROLLING, wave=2)
    after, _ = turned(rolling, hosts(now, DONE, HostStage.PROVING), CORDONED, now)
    assert after.stage is RolloutStage.ROLLING


def test_where_everybody_is_cordoned_nothing_is_done(now: datetime) -> None:
    plan = Plan(cordoned={"h1": "anna", "h2": "anna"})
    after, _ = turned(rollout(now, RolloutStage.ROLLING), hosts(now, PENDING, PENDING), plan, now)
    assert after.stage is RolloutStage.ROLLING


def test_cordoned_hosts_do_not_make_an_approval_needless(now: datetime) -> None:
    plan = replace(CORDONED, approve=(2,))
    rolling, fleet = rollout(now, RolloutStage.ROLLING), hosts(now, DONE, PENDING)
    after, _ = turned(rolling, fleet, plan, now)
    assert after.stage is RolloutStage.ROLLING
    assert "toplayer approve" in after.reason
    after, _ = turned(replace(rolling, approved=2), fleet, plan, now)
    assert after.stage is RolloutStage.DONE


def test_an_uncordoned_host_goes_straight_to_what_its_fleet_is_at(now: datetime) -> None:
    done, fleet = rollout(now, RolloutStage.DONE, wave=2), hosts(now, DONE, PENDING)
    _, changed = turned(done, fleet, CORDONED, now)
    assert [(host.host, host.stage) for host in changed] == [("h2", PENDING)]
    assert "cordoned by anna" in changed[0].reason
    _, called = turned(done, fleet, Plan(), now)
    assert [(host.host, host.stage) for host in called] == [("h2", HostStage.CALLED)]


def test_nobody_is_brought_back_while_paused_or_while_a_newer_image_is_ready(now: datetime) -> None:
    done, fleet = rollout(now, RolloutStage.DONE, wave=2), hosts(now, DONE, PENDING)
    assert turned(done, fleet, Plan(), now, paused=True) == (done, ())
    assert turned(done, fleet, Plan(), now, rollout(now, RolloutStage.BUILT, 2)) == (done, ())


def test_a_newer_image_waits_for_a_host_that_is_being_put_right(now: datetime) -> None:
    done, newer = rollout(now, RolloutStage.DONE), rollout(now, RolloutStage.BUILT, 2)
    assert decide.is_busy(hosts(now, DONE, HostStage.PROVING), Plan(), now)
    assert turned(newer, (), Plan(), now, done) == (newer, ())
    assert turned(newer, (), Plan(), now)[0].stage is RolloutStage.ROLLING


def test_what_failed_on_its_first_host_is_not_tried_on_the_next(now: datetime) -> None:
    """A class whose canary was cordoned, say: the first one that comes later is its canary."""
    fleet = hosts(now, HostStage.RETURNED, PENDING)
    _, changed = turned(rollout(now, RolloutStage.DONE), fleet, Plan(), now)
    assert [host.stage for host in changed] == [PENDING]
    assert "it failed on h1" in changed[0].reason


def test_a_host_that_ran_it_well_is_put_right_whoever_else_failed(now: datetime) -> None:
    failed, well = hosts(now, HostStage.RETURNED, DONE)
    drifted, plan = decide.inspected(well, "runs nothing", True, now), Plan(max_failures=1)
    _, changed = turned(rollout(now, RolloutStage.DONE), (failed, drifted), plan, now)
    assert [(host.host, host.stage) for host in changed] == [("h2", HostStage.CALLED)]
    again = replace(changed[0], stage=HostStage.FAILED)
    assert verdict((failed, again), Plan(max_failures=2), now), "but only until it fails there, too"


def test_a_host_is_inspected_when_its_time_has_come_and_only_once_it_is_done(now: datetime) -> None:
    (proving,) = hosts(now, HostStage.PROVING)
    assert not decide.inspection_due(proving, HOUR, now + HOUR)
    done = proving.at(DONE, now)
    assert not decide.inspection_due(done, HOUR, now)
    assert decide.inspection_due(done, HOUR, now + HOUR)
    assert decide.inspection_due(done, HOUR, now + WATCHED), "it may die a moment after its proof"
    seen = decide.inspected(done, "", False, now + HOUR)
    assert not decide.inspection_due(seen, HOUR, now + HOUR)


def test_drift_is_told_or_put_right(now: datetime) -> None:
    (done,) = hosts(now, DONE)
    told = decide.inspected(done, "runs nothing", False, now)
    assert (told.stage, told.drift) == (DONE, "runs nothing")
    assert decide.inspected(told, "", False, now).drift == ""
    called = decide.inspected(done, "runs nothing", True, now)
    assert (called.stage, called.drift) == (PENDING, "runs nothing")
    assert called.at(DONE, now).drift == ""
