"""Whose turn it is: sites, classes, hours, approvals, cordons and what a fleet can bear."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.watcher.test_decide import hosts, rollout
from watcher import decide
from watcher.errors import Temporary
from watcher.plan import GIVEN_UP_AFTER, Place, Plan, verdict
from watcher.rollout import HostStage, HostState, RolloutStage
from watcher.window import Freeze, Window

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PENDING, DONE, PROVING, RETURNED = HostStage.PENDING, HostStage.DONE, HostStage.PROVING, HostStage.RETURNED


def called(fleet: tuple[HostState, ...], plan: Plan, now: datetime, wave: int = 2) -> list[str]:
    rolling = rollout(now - MINUTE, RolloutStage.ROLLING, wave=wave, wave_at=now - MINUTE)
    _, changed = decide.turned(rolling, fleet, (), plan, False, now)
    return [host.host for host in changed if host.stage in (HostStage.CALLED, HostStage.FETCHED)]


def at(**places: Place) -> dict[str, Place]:
    return dict(places)


def test_a_site_has_no_more_hosts_moving_than_its_link_bears(now: datetime) -> None:
    slow = Place(site="seoul", at_once=1)
    fleet = hosts(now, DONE, PROVING, PENDING, PENDING)
    plan = Plan(at_once=9, places=at(h2=slow, h3=slow))
    assert called(fleet, plan, now) == ["h4"]


def test_the_first_host_of_each_class_is_proven_before_the_second_is_touched(now: datetime) -> None:
    arm = Place(kind="arm")
    plan = Plan(waves=(1, "100%"), places=at(h3=arm, h4=arm))
    assert called(hosts(now, *[PENDING] * 4), plan, now, wave=1) == ["h1", "h3"]
    assert called(hosts(now, DONE, PENDING, PROVING, PENDING), plan, now) == ["h2"]
    assert called(hosts(now, DONE, DONE, DONE, PENDING), plan, now) == ["h4"]


@pytest.mark.parametrize("ahead", [False, True])
def test_whoever_was_called_in_vain_comes_last_also_where_its_class_has_no_canary_yet(
    ahead: bool, now: datetime
) -> None:
    plan = Plan(waves=("100%",), at_once=1, ahead=ahead, places=at(h2=Place(kind="arm"), h3=Place(kind="arm")))
    done, *away, there = hosts(now, DONE, PENDING, PENDING, PENDING)
    away = [replace(host, attempts=9) for host in away]
    _, changed = decide.turned(rollout(now, RolloutStage.ROLLING, wave=1), (*away, done, there), (), plan, False, now)
    assert [host.host for host in changed] == [there.host], "a hundred hosts that are away hold nobody up"


def test_a_fleet_without_a_canary_in_its_waves_has_one_all_the_same(now: datetime) -> None:
    assert called(hosts(now, *[PENDING] * 4), Plan(waves=("100%",)), now, wave=1) == ["h1"]


def test_no_budget_covers_a_failed_canary(now: datetime) -> None:
    plan = Plan(max_failures=5)
    assert verdict(hosts(now, RETURNED, PENDING), plan, now).startswith("h1")
    assert verdict(hosts(now, DONE, RETURNED), plan, now) == ""
    arm = replace(plan, places=at(h2=Place(kind="arm")))
    assert verdict(hosts(now, DONE, RETURNED), arm, now).startswith("h2")


def test_a_share_of_the_reached_hosts_may_fail_once_there_are_enough_of_them(now: datetime) -> None:
    plan = Plan(max_share=0.1, min_sample=10)
    assert verdict(hosts(now, *[DONE] * 8, RETURNED), plan, now), "nine say nothing yet"
    assert not verdict(hosts(now, *[DONE] * 9, RETURNED), plan, now)
    assert verdict(hosts(now, *[DONE] * 12, RETURNED, RETURNED), plan, now)
    offline = [PENDING] * 100
    assert verdict(hosts(now, *[DONE] * 8, RETURNED, *offline), plan, now), "who cannot be reached does not count"


def test_outside_of_its_window_a_host_waits_and_says_so(now: datetime) -> None:
    closed = Window((now.weekday(),), (now.hour * 60 + now.minute + 60) % 1440, 1440, "UTC")
    plan = Plan(places=at(h2=Place(windows=(closed,))))
    fleet = hosts(now, DONE, PENDING, PENDING)
    rolling = rollout(now, RolloutStage.ROLLING, wave=2)
    _, changed = decide.turned(rolling, fleet, (), plan, False, now)
    assert {host.host: host.stage for host in changed} == {"h2": PENDING, "h3": HostStage.CALLED}
    assert changed[-1].reason.startswith("outside of its windows") or changed[0].reason.startswith("outside")
    assert called(fleet, plan, closed.opens_at(now)) == ["h2", "h3"]


def test_in_a_freeze_nothing_is_touched_but_what_was_begun_is_finished(now: datetime) -> None:
    plan = Plan(places={f"h{n}": Place(freezes=(Freeze(now.date(), now.date(), "UTC"),)) for n in (1, 2, 3)})
    fetched, proving, pending = hosts(now, HostStage.FETCHED, PROVING, PENDING)
    rolling = rollout(now, RolloutStage.ROLLING, wave=2)
    assert called((fetched, proving, pending), plan, now) == []
    assert not decide.host_due(fetched, rolling, now, plan)
    assert decide.host_due(proving, rolling, now, plan)
    assert decide.host_due(fetched, rolling, now + timedelta(days=1), plan)


def test_a_host_that_waits_for_its_hour_holds_no_newer_image_back(now: datetime) -> None:
    plan = Plan(places=at(h1=Place(freezes=(Freeze(now.date(), now.date(), "UTC"),))))
    older, newer = rollout(now, RolloutStage.ROLLING), rollout(now, RolloutStage.BUILT, 2)
    fleet = hosts(now, HostStage.FETCHED)
    assert decide.turned(older, fleet, (newer,), plan, False, now)[0].stage is RolloutStage.SUPERSEDED


def test_bytes_may_travel_before_a_hosts_turn_and_never_more_than_the_links_bear(now: datetime) -> None:
    plan = Plan(ahead=True, at_once=3, places={"h2": Place(site="s", at_once=1), "h3": Place(site="s", at_once=1)})
    rolling = rollout(now, RolloutStage.ROLLING, wave_at=now)
    _, changed = decide.turned(rolling, hosts(now, *[PENDING] * 5), (), plan, False, now)
    stages = {host.host: host.stage for host in changed}
    assert stages == {"h1": HostStage.CALLED, "h2": HostStage.AHEAD, "h4": HostStage.AHEAD}
    ready = hosts(now, DONE, HostStage.READY)
    assert called(ready, plan, now) == ["h2"]
    _, changed = decide.turned(replace(rolling, wave=2), ready, (), plan, False, now)
    assert changed[0].stage is HostStage.FETCHED, "its bytes are there already"


def test_what_was_fetched_ahead_is_untouched_when_the_rollout_halts(now: datetime) -> None:
    halted = rollout(now, RolloutStage.HALTED)
    fleet = hosts(now, HostStage.AHEAD, HostStage.READY)
    _, changed = decide.turned(halted, fleet, (), Plan(), False, now)
    assert [host.stage for host in changed] == [PENDING, PENDING]
    assert decide.is_over(halted, fleet)


def test_the_hosts_of_a_wave_begin_spread_over_the_jitter(now: datetime) -> None:
    plan = Plan(at_once=100, jitter=10 * MINUTE)
    fleet = hosts(now, DONE, *[PENDING] * 50)
    rolling = rollout(now, RolloutStage.ROLLING, wave=2, wave_at=now)
    begun = [decide.turned(rolling, fleet, (), plan, False, now + n * MINUTE)[1] for n in (1, 5, 10)]
    early, later, all_of_them = ({host.host for host in changed} for changed in begun)
    assert 0 < len(early) < 20
    assert early < later
    assert len(all_of_them) == 50


def test_a_cordoned_host_is_left_out_says_why_and_takes_part_again(now: datetime) -> None:
    rolling = rollout(now, RolloutStage.ROLLING, wave=2)
    fleet = hosts(now, DONE, PENDING)
    plan = Plan(cordoned={"h2": "anna: new disk"})
    done, _ = decide.turned(rolling, fleet, (), plan, False, now)
    assert done.stage is RolloutStage.DONE, "nobody waits for a host that a person keeps out"
    _, (held,) = decide.turned(done, fleet, (), plan, False, now)
    assert (held.stage, held.reason) == (PENDING, "cordoned by anna: new disk")
    _, (back,) = decide.turned(done, (fleet[0], held), (), Plan(), False, now)
    assert (back.host, back.stage) == ("h2", HostStage.CALLED)


def test_a_wave_waits_for_its_approval_and_says_so(now: datetime) -> None:
    plan = Plan(approve=(1, 2))
    waiting, _ = decide.turned(rollout(now, RolloutStage.BUILT), (), (), plan, False, now)
    assert (waiting.stage, waiting.reason) == (RolloutStage.BUILT, "wave 1 waits for `toplayer approve shop`")
    started, _ = decide.turned(replace(waiting, approved=1), (), (), plan, False, now)
    assert (started.stage, started.reason) == (RolloutStage.ROLLING, "")
    fleet = hosts(now, DONE, PENDING)
    waiting, none = decide.turned(started, fleet, (), plan, False, now)
    assert (waiting.wave, waiting.reason, none) == (1, "wave 2 waits for `toplayer approve shop`", ())
    opened, _ = decide.turned(replace(waiting, approved=2), fleet, (), plan, False, now)
    assert (opened.wave, opened.reason) == (2, "")


@pytest.mark.parametrize("stage", [HostStage.CALLED, HostStage.AHEAD])
def test_offline_hosts_are_pending_again_wherever_they_were_called_from(now: datetime, stage: HostStage) -> None:
    (host,) = hosts(now, stage)
    away = decide.offline(host, now, Temporary("away"))
    assert (away.stage, away.called_at) == (PENDING, None)


def gone(host: HostState, now: datetime) -> HostState:
    for _ in range(GIVEN_UP_AFTER):
        host = host.again(now, Temporary("h did not answer"))
    return host


def test_a_host_that_went_away_in_the_middle_holds_no_wave_and_no_place(now: datetime) -> None:
    first, lost, *rest = hosts(now, DONE, PROVING, *[PENDING] * 4)
    fleet = (first, gone(lost, now), *rest)
    plan = Plan(waves=(1, 2, "100%"), at_once=1)
    assert called(fleet, plan, now) == ["h3"], "somebody else takes its place in the wave"
    taken = (*fleet[:2], replace(rest[0], stage=DONE), *rest[1:])
    rolling = rollout(now, RolloutStage.ROLLING, wave=2, wave_at=now)
    opened, changed = decide.turned(rolling, taken, (), plan, False, now)
    assert (opened.wave, [host.host for host in changed]) == (3, ["h4"])
    assert opened.stage is RolloutStage.ROLLING, "it is waited for in the end"
    all_others = (first, gone(lost, now), *(replace(host, stage=DONE) for host in rest))
    assert decide.turned(rolling, all_others, (), plan, False, now)[0].stage is RolloutStage.ROLLING
    cordoned = replace(plan, cordoned={"h2": "anna"})
    assert decide.turned(rolling, all_others, (), cordoned, False, now)[0].stage is RolloutStage.DONE


def test_the_first_of_its_class_that_went_away_with_the_new_image_has_nobody_in_its_place(now: datetime) -> None:
    """Perhaps the image is why it is gone."""
    lost, *rest = hosts(now, PROVING, PENDING, PENDING)
    arm = {"h3": Place(kind="arm")}
    fleet, rolling = (gone(lost, now), *rest), rollout(now, RolloutStage.ROLLING, wave_at=now)
    waiting, changed = decide.turned(rolling, fleet, (), Plan(places=arm), False, now)
    assert [host.host for host in changed] == ["h3"], "another class has its own first host"
    assert waiting.reason.startswith("waits for h1, which went away")
    assert "toplayer cordon h1" in waiting.reason
    opened, changed = decide.turned(waiting, fleet, (), Plan(cordoned={"h1": "anna"}), False, now)
    assert ([host.host for host in changed], opened.reason) == (["h2"], ""), "a person has decided"
    back = (replace(lost, stage=DONE), *rest)
    assert decide.turned(waiting, back, (), Plan(), False, now)[0].reason == ""


def test_two_apps_at_one_site_share_its_link(now: datetime) -> None:
    slow = Place(site="seoul", at_once=2)
    plan = Plan(at_once=9, places=at(h2=slow, h3=slow, h4=slow), elsewhere={"seoul": 1})
    assert called(hosts(now, DONE, PENDING, PENDING, PENDING), plan, now) == ["h2"]
    assert called(hosts(now, DONE, PENDING, PENDING, PENDING), replace(plan, elsewhere={"seoul": 2}), now) == []


def test_an_urgent_rollout_waits_for_no_hour_no_soak_and_no_approval_and_is_as_careful_as_ever(now: datetime) -> None:
    frozen = Place(freezes=(Freeze(now.date(), now.date(), "UTC"),))
    plan = Plan(waves=(1, "100%"), soak=HOUR, jitter=HOUR, approve=(1, 2), places={f"h{n}": frozen for n in (1, 2, 3)})
    urgent = rollout(now, RolloutStage.BUILT, urgent=True)
    started, _ = decide.turned(urgent, (), (), plan, False, now)
    assert started.stage is RolloutStage.ROLLING
    fleet = hosts(now, PENDING, PENDING, PENDING)
    _, changed = decide.turned(started, fleet, (), plan, False, now)
    assert [host.host for host in changed] == ["h1"], "a canary first"
    assert decide.host_due(hosts(now, HostStage.FETCHED)[0], started, now, plan)
    opened, changed = decide.turned(started, hosts(now, DONE, PENDING, PENDING), (), plan, False, now)
    assert (opened.wave, len(changed)) == (2, 2)


def looked_at(host: HostState, at: datetime) -> HostState:
    return decide.seen(host, at)


def test_a_host_that_is_done_is_looked_at_ever_more_rarely_and_once_more_when_it_has_stood(now: datetime) -> None:
    (proving,) = hosts(now, PROVING)
    assert not decide.watch_due(proving, 0 * MINUTE, now + HOUR)
    done, times = proving.at(DONE, now), []
    at = now
    while at < now + 20 * MINUTE:
        if decide.watch_due(done, 10 * MINUTE, at):
            times.append((at - now).total_seconds())
            done = looked_at(done, at)
        at += timedelta(seconds=5)
    assert times == [15, 30, 60, 120, 240, 480, 600], "the last one at the end of its soak"


def test_a_wave_opens_when_everybody_was_well_at_the_end_of_the_soak(now: datetime) -> None:
    plan = Plan(soak=10 * MINUTE)
    done, *rest = hosts(now, PROVING, PENDING, PENDING)
    done = done.at(DONE, now)
    rolling = rollout(now, RolloutStage.ROLLING, wave_at=now)

    def opens(host: HostState, at: datetime, plan: Plan = plan) -> bool:
        return decide.turned(rolling, (host, *rest), (), plan, False, at)[0].wave == 2

    later = now + 10 * MINUTE
    assert not opens(looked_at(done, now + 9 * MINUTE), later), "that was before the end"
    assert opens(looked_at(done, later), later)
    silent = looked_at(done, now + 9 * MINUTE).again(later, Temporary("away"))
    assert not opens(silent, later + HOUR)
    lost = gone(silent, later)
    assert not opens(lost, later + HOUR), "who was not looked at is not well"
    assert not opens(lost, later + HOUR, replace(plan, cordoned={"h1": "anna"})), "and there is nobody else who is"


def test_a_class_whose_only_good_host_is_gone_and_left_out_begins_anew(now: datetime) -> None:
    done, failed, *rest = hosts(now, DONE, RETURNED, PENDING, PENDING)
    plan = Plan(waves=("100%",), max_failures=1, cordoned={"h1": "anna"})
    assert called((gone(done, now), failed, *rest), plan, now) == ["h3"]
