"""One host through one rollout, a step at a time, as the watcher would have it."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import MONDAY
from tests.fakes.host import Died, FakeHost
from tests.fakes.store import FakeStore
from tests.rig.image import layer, publish
from watcher import decide
from watcher.errors import Refused, Temporary
from watcher.image import Digest
from watcher.plan import GIVEN_UP_AFTER, Plan
from watcher.rollout import HostStage, HostState, Rollout, RolloutStage
from workers.fleet.host import HostBusy, HostRefused, HostUnreachable, Service
from workers.fleet.roll import PULLING, step, watch

SECOND = timedelta(seconds=1)
WITHIN = timedelta(minutes=2)
STORE = FakeStore()
OLD, NEW = (publish(STORE, [layer({"base": "b"}), layer({"version": version})]) for version in "12")


class Site:
    """A host, its state in a rollout, a clock that moves, and a worker that treats errors as every order's are."""

    def __init__(self, *, runs: Digest | None = OLD, order: str = "stop-first") -> None:
        self.now = MONDAY
        self.host = FakeHost(STORE)
        self.service = Service(name="shop", repository=STORE.where, order=order, steady=timedelta(0))
        self.rollout = Rollout(
            id="shop:2",
            app="shop",
            generation=2,
            commit="c2",
            stage=RolloutStage.ROLLING,
            image=NEW,
            wanted_at=MONDAY,
        )
        self.state = HostState(rollout="shop:2", host="h1", position=0).at(HostStage.CALLED, MONDAY)
        if runs:
            self.host.fetch(self.service, runs)
            self.host.swap(self.service, runs, 1)
            self.host.settle(self.service, runs)
            self.host.calls.clear()

    def clock(self) -> datetime:
        return self.now

    def step(self) -> None:
        """One order, carried out."""
        self.now += SECOND
        try:
            self.state = step(self.state, self.rollout, self.host, self.service, WITHIN, self.clock)
        except Temporary as error:
            self.state = self.state.again(self.now, error)
        except Refused as error:
            self.state = self.state.refused(self.now, error)

    def run(self, steps: int = 400) -> HostStage:
        """All orders until none is due any more."""
        for _ in range(steps):
            if self.state.due_at and self.state.stage is not HostStage.PENDING:
                self.now = max(self.now, self.state.due_at)
            if not decide.host_due(self.state, self.rollout, self.now):
                break
            self.step()
        return self.state.stage

    def halt(self, reason: str = "h9: not healthy") -> None:
        self.rollout = self.rollout.at(RolloutStage.HALTED, self.now, reason=reason)
        _, turned = decide.turned(self.rollout, (self.state,), (), Plan(), False, self.now)
        self.state = turned[0] if turned else self.state


def test_a_host_goes_all_the_way_and_reports_bytes_and_seconds() -> None:
    site = Site()
    stages = []
    while site.state.stage is not HostStage.DONE:
        site.step()
        stages.append(site.state.stage)
    assert stages == [HostStage.FETCHED, HostStage.SWAPPING, HostStage.PROVING, HostStage.DONE]
    assert site.host.serving == NEW
    assert site.state.previous == OLD
    assert site.state.seconds == 4
    assert site.state.bytes
    assert 0 < site.state.bytes < 2_000


def test_what_ran_is_known_to_the_ledger_before_anything_is_touched() -> None:
    site = Site()
    site.step()
    assert site.state.stage is HostStage.FETCHED
    assert site.state.previous == OLD
    assert site.host.serving == OLD
    assert "swap" not in site.host.calls


def test_a_host_that_runs_it_already_is_done_with_no_byte() -> None:
    site = Site(runs=NEW)
    assert site.run() is HostStage.DONE
    assert site.state.bytes == 0
    assert site.host.calls == ["running", "prove"]


def test_a_host_that_runs_it_badly_gets_it_again() -> None:
    site = Site(runs=NEW)
    assert site.host.current
    site.host.current = replace(site.host.current, up=False)
    assert site.run() is HostStage.DONE
    assert site.host.serving == NEW
    assert site.host.current.generation == 2


def test_another_specification_is_rolled_out_too() -> None:
    site = Site(runs=NEW)
    site.service = replace(site.service, command=("other",))
    assert site.run() is HostStage.DONE
    assert site.host.current
    assert site.host.current.service.command == ("other",)


def test_a_slow_start_is_asked_for_ever_more_rarely() -> None:
    site = Site()
    site.host.slow[NEW] = 10 * SECOND
    for _ in range(4):
        site.step()
    assert site.state.stage is HostStage.PROVING
    assert site.state.due_at == site.now + SECOND
    proofs = site.host.calls.count("prove")
    assert site.run() is HostStage.DONE
    assert site.state.seconds == pytest.approx(12, abs=3)
    assert site.host.calls.count("prove") - proofs <= 7


def test_a_start_that_takes_too_long_fails_and_the_host_goes_back() -> None:
    site = Site()
    site.host.slow[NEW] = 2 * WITHIN
    assert site.run() is HostStage.RETURNED
    assert site.state.reason == "not healthy within 2 min: it is still starting"
    assert site.host.serving == OLD


def test_a_sick_image_fails_at_once_and_the_host_goes_back() -> None:
    site = Site()
    site.host.sick.add(NEW)
    assert site.run() is HostStage.RETURNED
    assert site.state.reason == "not healthy: it feels sick"
    assert site.host.serving == OLD
    assert site.state.seconds == 6


def test_a_host_that_ran_nothing_goes_back_to_nothing() -> None:
    site = Site(runs=None)
    site.host.sick.add(NEW)
    assert site.run() is HostStage.RETURNED
    assert site.host.serving is None


def test_an_image_is_not_proven_before_it_has_run_for_a_while() -> None:
    site = Site()
    site.service = replace(site.service, steady=5 * SECOND)
    for _ in range(4):
        site.step()
    assert site.state.stage is HostStage.PROVING
    assert site.run() is HostStage.DONE
    assert site.state.healthy_seconds is not None
    assert site.state.healthy_seconds >= 5


def test_a_clock_that_jumps_forward_proves_nothing_and_ends_nothing() -> None:
    site = Site()
    site.service = replace(site.service, steady=5 * SECOND)
    site.host.slow[NEW] = 20 * SECOND
    for _ in range(3):
        site.step()
    for _ in range(3):
        site.now += timedelta(hours=1)
        site.step()
        assert site.state.stage is HostStage.PROVING, "neither steady for an hour nor starting for an hour"
    assert site.run() is HostStage.DONE


def test_a_swap_that_the_host_cannot_go_on_with_is_given_up_in_the_end() -> None:
    """What ran may have been stopped for it."""
    site = Site()
    site.step()
    site.now += timedelta(hours=9)
    site.host.refuses["swap"] = HostBusy("h1", "the engine is shutting down")
    site.step()
    site.step()
    assert (site.state.stage, site.state.attempts) == (HostStage.SWAPPING, 1), "its hours of waiting do not count"
    assert site.run() is HostStage.RETURNED
    assert site.state.reason == "not swapped within 2 min: h1 cannot do it now: the engine is shutting down"
    assert site.host.serving == OLD


def test_a_proof_that_cannot_be_had_is_no_proof_for_ever() -> None:
    site = Site()
    for _ in range(3):
        site.step()
    site.host.refuses["prove"] = HostBusy("h1", "it is restarting")
    for _ in range(60):
        if site.state.stage is HostStage.FAILED:
            break
        site.now = max(site.now, site.state.due_at or site.now)
        site.step()
    assert site.state.stage is HostStage.FAILED
    assert "it is restarting" in site.state.reason


def watched(site: Site) -> HostState:
    return watch(site.state, site.rollout, site.host, site.service, site.clock)


def test_a_host_that_is_well_stays_done_and_one_that_is_away_is_asked_again() -> None:
    site = Site()
    site.run()
    site.state = site.state.again(site.now, Temporary("away"))
    site.now += timedelta(minutes=1)
    after = watched(site)
    assert (after.stage, after.attempts, after.inspected_at) == (HostStage.DONE, 0, site.now)
    site.host.offline = True
    with pytest.raises(HostUnreachable):
        watched(site)


def test_an_image_that_sickens_after_its_proof_has_failed_and_goes_back() -> None:
    site = Site()
    site.host.sicken[NEW] = 30 * SECOND
    assert site.run() is HostStage.DONE
    site.now += timedelta(minutes=1)
    site.state = watched(site)
    assert (site.state.stage, site.state.reason) == (HostStage.FAILED, "not healthy any more: it feels sick")
    assert site.run() is HostStage.RETURNED
    assert site.host.serving == OLD


def test_a_restart_after_the_proof_is_a_failure_and_one_before_it_is_not() -> None:
    site = Site(runs=NEW)
    site.host.restarts = 2
    assert site.run() is HostStage.DONE
    assert (site.state.restarts, watched(site).stage) == (2, HostStage.DONE), "that was last month"
    site.host.restarts = 5
    failed = watched(site)
    assert (failed.stage, failed.reason) == (HostStage.FAILED, "restarted 3 times since it was proven: ")


def test_a_host_whose_probe_does_not_answer_any_more_is_proven_anew() -> None:
    site = Site()
    assert site.run() is HostStage.DONE
    site.host.slow[NEW] = timedelta(hours=1)
    site.state = watched(site)
    assert site.state.stage is HostStage.PROVING
    site.host.slow[NEW] = timedelta(0)
    assert site.run() is HostStage.DONE


def test_a_rollback_is_never_rolled_back() -> None:
    site = Site()
    site.host.sick |= {OLD, NEW}
    assert site.run() is HostStage.STUCK
    assert site.state.reason == f"back at {OLD.short}, but not healthy: it feels sick"
    assert site.host.serving == OLD
    assert site.host.calls.count("back") == 1


def test_a_host_that_is_away_when_it_is_called_is_pending_again() -> None:
    site = Site()
    site.host.offline = True
    site.step()
    assert site.state.stage is HostStage.PENDING
    assert site.state.reason == "h1 did not answer: it is switched off"
    assert site.state.called_at is None


def test_a_host_that_goes_away_in_the_middle_is_waited_for() -> None:
    site = Site()
    for _ in range(3):
        site.step()
    site.host.offline = True
    for _ in range(3):
        site.step()
    assert (site.state.stage, site.state.attempts) == (HostStage.PROVING, 3)
    site.host.offline = False
    assert site.run() is HostStage.DONE


def test_a_host_that_brings_the_image_to_itself_keeps_nobody_waiting() -> None:
    site = Site()
    site.host.away = 3
    site.step()
    assert (site.state.stage, site.state.attempts, site.state.previous) == (HostStage.CALLED, 0, None)
    assert site.state.due_at == site.now + PULLING
    assert not decide.host_due(site.state, site.rollout, site.now)
    began = site.state.pulling_since
    assert site.run() is HostStage.DONE
    assert site.host.calls.count("fetch") == 4
    assert began is not None
    assert site.state.pull_seconds == pytest.approx(3 * 5, abs=6), "all of it, and not the last question only"
    assert site.state.pulling_since is None


@pytest.mark.parametrize(
    ("took", "moved", "later"),
    [
        (8, (80, 100), 1),
        (8, (10, 100), 15),
        (8, (40, 100), 4),
        (8, (100, 100), 1),
        (8, (120, 100), 1),
        (600, (9_999, 10_000), 15),
        (30, (0, 0), 10),
        (8, (1, 2**63 - 1), 15),
    ],
    ids=[
        "nearly there",
        "far away",
        "a third of the rest",
        "unpacking",
        "more than was known",
        "long",
        "nothing said",
        "a lie",
    ],
)
def test_who_pulls_is_asked_again_after_a_third_of_the_rest(took: int, moved: tuple[int, int], later: float) -> None:
    site = Site()
    site.host.away, site.host.moved = 2, moved
    site.step()
    site.now += timedelta(seconds=took) - SECOND
    site.step()
    assert site.state.due_at is not None
    assert (site.state.due_at - site.now).total_seconds() == pytest.approx(later, abs=0.2)


def test_a_host_whose_link_flaps_while_it_pulls_keeps_its_place() -> None:
    site = Site()
    site.host.away = 3
    site.step()
    site.host.offline = True
    for _ in range(GIVEN_UP_AFTER - 1):
        site.step()
    assert (site.state.stage, site.state.reason) == (HostStage.CALLED, "h1 did not answer: it is switched off")
    site.host.offline = False
    site.step()
    assert (site.state.stage, site.state.reason, site.state.attempts) == (HostStage.CALLED, "", 0)
    site.host.offline = True
    for _ in range(GIVEN_UP_AFTER):
        site.step()
    assert site.state.stage is HostStage.PENDING, "and gives it up in the end"


def test_a_way_back_that_has_to_travel_keeps_nobody_waiting_either() -> None:
    site = Site()
    for _ in range(3):
        site.step()
    site.host.current, site.host.images = None, {NEW: site.host.images[NEW]}
    site.host.away = 2
    site.halt()
    site.step()
    assert (site.state.stage, site.state.attempts) == (HostStage.PROVING, 0)
    assert site.run() is HostStage.RETURNED
    assert site.host.serving == OLD


def test_a_refusal_before_anything_was_touched_leaves_the_host_as_it_is() -> None:
    site = Site()
    site.host.refuses["fetch"] = HostRefused("h1", "no space left on device")
    assert site.run() is HostStage.RETURNED
    assert site.state.reason == "h1: no space left on device"
    assert site.host.calls == ["running", "fetch"]
    assert site.host.serving == OLD


def test_a_host_that_cannot_even_say_what_it_runs_is_not_emptied() -> None:
    site = Site()
    site.host.refuses["running"] = HostRefused("h1", "permission denied")
    assert site.run() is HostStage.RETURNED
    assert "back" not in site.host.calls
    assert site.host.serving == OLD


def test_a_refused_swap_goes_back() -> None:
    site = Site()
    site.host.refuses["swap"] = HostRefused("h1", "the port is taken")
    assert site.run() is HostStage.RETURNED
    assert site.state.reason == "h1: the port is taken"
    assert site.host.serving == OLD


def test_a_refused_way_back_is_stuck() -> None:
    site = Site()
    site.host.sick.add(NEW)
    site.host.refuses["back"] = HostRefused("h1", "the disk is gone")
    assert site.run() is HostStage.STUCK


def test_a_host_that_waits_for_its_hour_is_not_touched_by_a_halt() -> None:
    site = Site()
    site.step()
    site.halt()
    assert (site.run(), site.host.calls) == (HostStage.PENDING, ["running", "fetch"])


@pytest.mark.parametrize("steps", [2, 3, 4])
def test_a_halted_rollout_takes_back_what_it_touched(steps: int) -> None:
    site = Site()
    for _ in range(steps):
        site.step()
    site.halt()
    assert site.run() is HostStage.RETURNED
    assert site.state.reason == "taken back: h9: not healthy"
    assert site.host.serving == OLD


def test_a_late_step_of_an_older_rollout_changes_nothing() -> None:
    site = Site()
    site.rollout = replace(site.rollout, generation=1)
    site.host.swap(site.service, OLD, 7)
    site.host.settle(site.service, OLD)
    site.host.newest = 7
    assert site.host.current
    site.host.current = replace(site.host.current, generation=7)
    assert site.run() is HostStage.RETURNED
    assert "already belongs to generation 7" in site.state.reason
    assert "`toplayer retry APP`" in site.state.reason
    assert site.state.found == 7, "what the ledger may have forgotten"
    assert site.host.serving == OLD


@given(data=st.data())
def test_whatever_happens_on_the_way_a_host_ends_with_one_image_and_the_right_one(data: st.DataObject) -> None:
    site = Site(
        runs=data.draw(st.sampled_from([OLD, None]), "runs"),
        order=data.draw(st.sampled_from(["stop-first", "start-first"]), "order"),
    )
    runs = site.host.serving
    sick = data.draw(st.booleans(), "sick")
    if sick:
        site.host.sick.add(NEW)
    halts_at = data.draw(st.integers(0, 30) | st.none(), "halts at")
    for count in range(400):
        if count == halts_at and site.state.stage.is_touched:
            site.halt()
        if site.state.due_at:
            site.now = max(site.now, site.state.due_at)
        if site.state.stage is HostStage.PENDING:
            site.state = site.state.at(HostStage.CALLED, site.now)
        if not decide.host_due(site.state, site.rollout, site.now):
            break
        # A message comes twice, a process dies between the deed and the note, the host is away for a while.
        fate = data.draw(st.sampled_from(["well", "well", "dies", "forgets", "away"])) if count < 40 else "well"
        before = site.state
        site.host.offline = fate == "away"
        site.host.dies_at = data.draw(st.integers(0, 4)) if fate == "dies" else None
        try:
            site.step()
        except Died:
            site.state = before
        if fate == "forgets":
            site.state = before
        site.host.offline, site.host.dies_at = False, None
        # Start-first never has a moment without what ran, or what was proven.
        if runs and site.service.order == "start-first":
            assert site.host.serving is not None
    good = not sick and site.rollout.stage is RolloutStage.ROLLING
    assert site.state.stage is (HostStage.DONE if good else HostStage.RETURNED)
    assert site.host.serving == (NEW if good else runs)
    assert site.host.next is None or not site.host.next.up


def test_an_error_says_its_host() -> None:
    assert str(HostUnreachable("h1", "no route")) == "h1 did not answer: no route"
