"""The pipeline on one page: what follows what, and what does not."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from watcher import decide
from watcher.bump import Bump, BumpStage, Part
from watcher.errors import Refused, Temporary
from watcher.head import Head
from watcher.image import Digest
from watcher.lookup import IndexState
from watcher.past import silenced
from watcher.pin import Pin
from watcher.plan import GIVEN_UP_AFTER, Place, Plan
from watcher.policy import DEFAULT, Policy
from watcher.rollout import Built, HostStage, HostState, Rollout, RolloutStage
from watcher.turn import Turn
from watcher.versions.pep440 import Pep440
from watcher.window import Freeze, Window

SCHEME = Pep440()
MINUTE = timedelta(minutes=1)
OLD, NEW = Digest("sha256:" + "0" * 64), Digest("sha256:" + "1" * 64)


def bump(now: datetime, to: str = "2.0", **more: object) -> Bump:
    made = Bump(
        id=Bump.id_of("shop", "django", to),
        app="shop",
        ecosystem="pypi",
        package="django",
        from_version="1.0",
        to_version=to,
        found_at=now,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def next_bump(
    *bumps: Bump, now: datetime, paused: bool = False, policy: Policy = DEFAULT, forge: bool = False
) -> Bump | None:
    return decide.next_bump(bumps, head(now), lambda package: policy, paused, now, forge=forge)


def settled(bump: Bump, head: Head, now: datetime) -> Bump:
    return decide.settled(bump, head, decide.locked(head), SCHEME, now)


def head(now: datetime, version: str = "1.0", branches: tuple[tuple[str, str], ...] = ()) -> Head:
    pin = Pin(ecosystem="pypi", package="django", version=version, lock="requirements.txt")
    return Head(app="shop", commit="c1", surveyed_at=now, pins=(pin,), branches=branches)


def rollout(now: datetime, stage: RolloutStage, generation: int = 1, **more: object) -> Rollout:
    built = Built(image=NEW, layers=2, new_layers=1, size=10, new_size=5, pushed=5, seconds=0.1)
    made = Rollout(
        id=Rollout.id_of("shop", generation),
        app="shop",
        generation=generation,
        commit=f"c{generation}",
        wanted_at=now,
        stage=stage,
        image=None if stage is RolloutStage.WANTED else NEW,
        built=None if stage is RolloutStage.WANTED else built,
        wave=1 if stage is RolloutStage.ROLLING else 0,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def hosts(now: datetime, *stages: HostStage) -> tuple[HostState, ...]:
    return tuple(
        HostState(rollout="shop:1", host=f"h{n}", position=n, stage=stage, since=now, previous=OLD)
        for n, stage in enumerate(stages, 1)
    )


def test_an_app_is_surveyed_when_its_time_has_come_and_not_before(now: datetime) -> None:
    seen = head(now)
    assert not decide.survey_due(seen, (), 5 * MINUTE, now + MINUTE)
    assert decide.survey_due(seen, (), 5 * MINUTE, now + 5 * MINUTE)
    assert decide.survey_due(Head(app="shop"), (), 5 * MINUTE, now)


def test_an_app_is_surveyed_at_once_when_something_of_ours_was_pushed(now: datetime) -> None:
    pushed = bump(now).at(BumpStage.PROPOSED, now + MINUTE, branch="main")
    assert decide.survey_due(head(now), (pushed,), 5 * MINUTE, now + MINUTE)


def test_a_proposal_that_stands_in_the_lockfile_is_merged(now: datetime) -> None:
    proposed = bump(now).at(BumpStage.PROPOSED, now, branch="toplayer/django")
    after = settled(proposed, head(now, "2.0"), now)
    assert (after.stage, after.commit) == (BumpStage.MERGED, "c1")


def test_a_push_whose_note_was_lost_is_merged_all_the_same(now: datetime) -> None:
    assert settled(bump(now), head(now, "2.0"), now).stage is BumpStage.MERGED


def test_a_lockfile_that_is_already_further_supersedes_the_bump(now: datetime) -> None:
    after = settled(bump(now), head(now, "2.10"), now)
    assert after.stage is BumpStage.SUPERSEDED
    assert "2.10" in after.reason


def test_a_package_that_leaves_the_lockfile_was_put_aside_by_nobody(now: datetime) -> None:
    after = settled(bump(now), replace(head(now), pins=()), now)
    assert after.reason == "django is no longer in the lockfile"
    assert silenced([after]) == {}, "if it comes back, so does the bump"


def test_what_a_lock_has_for_another_platform_too_has_arrived_when_the_one_version_has(now: datetime) -> None:
    def at(*versions: str) -> Head:
        pin = head(now).pins[0]
        return replace(head(now), pins=tuple(replace(pin, version=version) for version in versions))

    found = bump(now)
    assert settled(found, at("0.9", "1.0"), now) == found
    assert settled(found, at("0.9", "2.0"), now).stage is BumpStage.MERGED
    assert settled(found, at("0.9", "2.1"), now).stage is BumpStage.SUPERSEDED
    assert settled(found, at("0.9", "1.5"), now) == found


def test_what_is_in_step_has_to_arrive_too(now: datetime) -> None:
    beside = tuple(replace(pin, lock="dev.txt") for pin in head(now).pins)
    found = bump(now)
    assert settled(found, replace(head(now, "2.0"), beside=beside), now) == found
    moved = tuple(replace(pin, version="2.0") for pin in beside)
    assert settled(found, replace(head(now, "2.0"), beside=moved), now).stage is BumpStage.MERGED


def test_a_branch_that_was_deleted_without_a_merge_closes_the_bump(now: datetime) -> None:
    proposed = bump(now).at(BumpStage.PROPOSED, now, branch="toplayer/django")
    later = head(now + MINUTE)
    assert settled(proposed, later, now).stage is BumpStage.CLOSED
    kept = head(now + MINUTE, branches=(("toplayer/django", "abc"),))
    assert settled(proposed, kept, now) == proposed


def test_a_survey_from_before_the_push_says_nothing_about_the_branch(now: datetime) -> None:
    proposed = bump(now).at(BumpStage.PROPOSED, now + MINUTE, branch="toplayer/django")
    assert settled(proposed, head(now), now) == proposed


def test_a_repository_that_could_not_be_read_settles_nothing(now: datetime) -> None:
    unreadable = replace(head(now, "2.0"), reason="no such file")
    assert settled(bump(now), unreadable, now) == bump(now)


def test_one_bump_at_a_time_and_the_oldest_first(now: datetime) -> None:
    young, old = bump(now, "2.1"), bump(now - MINUTE, "2.0")
    assert next_bump(young, old, now=now) == old
    assert next_bump(young, old.at(BumpStage.PROPOSED, now), now=now) is None
    assert next_bump(young, old, now=now, paused=True) is None


def test_security_goes_first_and_then_what_a_person_ordered(now: datetime) -> None:
    old, ordered = bump(now - MINUTE), bump(now, "3.0", by="ana")
    fix = bump(now + MINUTE, "4.0", advisories=("CVE-2026-1",))

    assert next_bump(old, ordered, fix, now=now) == fix
    assert next_bump(old, ordered, now=now) == ordered


def test_a_security_fix_waits_for_no_other_bump_but_for_a_security_fix(now: datetime) -> None:
    routine = bump(now, branch="b", package="celery", commit="c").at(BumpStage.PROPOSED, now)
    fix = bump(now, advisories=("CVE-2026-1",))
    another = bump(now, "2.1", package="urllib3", advisories=("CVE-2026-2",))
    waiting = replace(fix.at(BumpStage.PROPOSED, now), branch="f", commit="c")
    seen = replace(head(now, branches=(("b", "c"), ("f", "c"))), surveyed_at=now + MINUTE)

    def chosen(*bumps: Bump, at: Head = seen) -> Bump | None:
        return decide.next_bump(bumps, at, lambda package: DEFAULT, False, now + MINUTE)

    assert chosen(routine, bump(now)) is None
    assert chosen(routine, bump(now), fix) == fix
    assert chosen(routine, waiting, another) is None
    assert chosen(waiting, bump(now, package="urllib3")) is None, "what is no fix waits for everything"
    theirs = replace(seen, branches=(("b", "a person's"), ("f", "a person's")))
    assert chosen(routine, fix, at=theirs) == fix
    assert chosen(routine, waiting, another, at=theirs) == another, "who has taken a branch over holds nobody up"
    assert chosen(waiting, bump(now, "2.2", advisories=("CVE-2026-3",)), at=theirs) is None, "but for its own packages"


def test_a_fix_of_the_same_packages_takes_the_place_of_what_waits(now: datetime) -> None:
    waiting = bump(now).at(BumpStage.PROPOSED, now, branch="b", commit="c")
    fix, seen = bump(now, "2.1", advisories=("CVE-2026-1",)), head(now, branches=(("b", "c"),))

    assert decide.in_the_way(fix, [waiting], seen) is None
    assert decide.in_the_way(fix, [waiting], head(now, branches=(("b", "a person's"),))) == waiting


def test_a_bump_begins_in_its_window_unless_a_person_ordered_it(now: datetime) -> None:
    nights = Policy(windows=(Window.parse("22:00-06:00"),))
    frozen = Policy(freeze=(Freeze.parse("2026-11-01..2026-11-03"),))
    found, ordered = bump(now), bump(now, by="ana")

    assert next_bump(found, now=now, policy=nights) is None
    assert next_bump(found, now=now + timedelta(hours=13), policy=nights) == found
    assert next_bump(found, now=now, policy=frozen) is None
    assert next_bump(ordered, now=now, policy=frozen) == ordered
    waits = decide.waits(found, lambda package: nights, now)
    assert waits is not None
    assert (waits.until, waits.said) == (
        now + timedelta(hours=13),
        "outside of its windows (every day 22:00-06:00 UTC)",
    )


def test_a_group_has_arrived_when_all_of_it_has(now: datetime) -> None:
    group = bump(now, others=(Part("celery", "5.0", "5.1"),)).at(BumpStage.PROPOSED, now, branch="b")
    seen = replace(head(now + MINUTE, "2.0", branches=(("b", "c"),)), surveyed_at=now + MINUTE)

    def with_celery(version: str) -> Head:
        return replace(seen, pins=(*seen.pins, replace(seen.pins[0], package="celery", version=version)))

    assert settled(group, with_celery("5.0"), now) == group
    assert settled(group, with_celery("5.1"), now).stage is BumpStage.MERGED
    assert settled(group, with_celery("5.2"), now).stage is BumpStage.SUPERSEDED
    assert settled(group, seen, now).stage is BumpStage.MERGED, "celery is not needed any more"


def test_what_waits_without_a_pull_request_gets_one_where_there_is_a_forge_now(now: datetime) -> None:
    waiting = bump(now).at(BumpStage.PROPOSED, now, branch="b", commit="c")
    seen, later = head(now, branches=(("b", "c"),)), bump(now, "2.1")

    def chosen(*bumps: Bump, at: Head = seen, paused: bool = False, forge: bool = True) -> Bump | None:
        return decide.next_bump(bumps, at, lambda package: DEFAULT, paused, now, forge=forge)

    assert chosen(waiting) == waiting
    assert chosen(waiting, forge=False) is None
    assert chosen(waiting, paused=True) is None
    assert chosen(replace(waiting, proposal=7)) is None
    assert chosen(waiting, later) == later, "it takes the branch, and opens one there"
    assert chosen(waiting, at=head(now, branches=(("b", "a person's"),))) is None


def test_a_bump_that_failed_for_a_moment_waits_its_time(now: datetime) -> None:
    waiting = bump(now).again(now, Temporary())
    assert waiting.due_at is not None
    assert next_bump(waiting, now=now) is None
    assert next_bump(waiting, now=waiting.due_at) == waiting


def test_only_the_newest_commit_is_built(now: datetime) -> None:
    older, newer = rollout(now, RolloutStage.WANTED, 1), rollout(now, RolloutStage.WANTED, 2)
    assert decide.build_due(newer, newer, False, now)
    assert not decide.build_due(older, newer, False, now)
    assert not decide.build_due(newer, newer, True, now)
    assert decide.turned(older, (), (newer,), Plan(), False, now)[0].stage is RolloutStage.SUPERSEDED


def test_a_built_image_starts_with_one_canary(now: datetime) -> None:
    started, _ = decide.turned(rollout(now, RolloutStage.BUILT), (), (), Plan(), False, now)
    assert (started.stage, started.wave) == (RolloutStage.ROLLING, 1)
    _, called = decide.turned(started, hosts(now, *[HostStage.PENDING] * 4), (), Plan(), False, now)
    assert [host.host for host in called] == ["h1"]


def test_a_held_image_waits_for_a_person(now: datetime) -> None:
    held = rollout(now, RolloutStage.BUILT, held=True)
    assert decide.turned(held, (), (), Plan(), False, now) == (held, ())


def test_nothing_starts_and_nobody_is_called_while_paused(now: datetime) -> None:
    built, rolling = rollout(now, RolloutStage.BUILT), rollout(now, RolloutStage.ROLLING)
    assert decide.turned(built, (), (), Plan(), True, now) == (built, ())
    assert decide.turned(rolling, hosts(now, HostStage.PENDING), (), Plan(), True, now) == (rolling, ())


def test_the_next_wave_opens_when_the_last_is_proven_and_has_soaked(now: datetime) -> None:
    rolling, plan = rollout(now, RolloutStage.ROLLING), Plan(soak=10 * MINUTE)
    fleet = hosts(now, HostStage.DONE, HostStage.PENDING, HostStage.PENDING)
    assert decide.turned(rolling, fleet, (), plan, False, now + 9 * MINUTE) == (rolling, ())
    after, called = decide.turned(rolling, fleet, (), plan, False, now + 10 * MINUTE)
    assert after.wave == 2
    assert [host.host for host in called] == ["h2", "h3"]


def test_a_wave_takes_no_more_hosts_at_once_than_allowed(now: datetime) -> None:
    rolling = rollout(now, RolloutStage.ROLLING, wave=2)
    fleet = hosts(now, HostStage.DONE, HostStage.PROVING, *[HostStage.PENDING] * 5)
    _, called = decide.turned(rolling, fleet, (), Plan(at_once=3), False, now)
    assert len(called) == 2


def test_an_offline_canary_is_replaced_by_the_next_host(now: datetime) -> None:
    rolling = rollout(now, RolloutStage.ROLLING)
    first, second = hosts(now, HostStage.CALLED, HostStage.PENDING)
    away = decide.offline(first, now, Temporary("h1 did not answer"))
    assert away.stage is HostStage.PENDING
    _, called = decide.turned(rolling, (away, second), (), Plan(), False, now)
    assert [host.host for host in called] == ["h2"]


def test_an_offline_host_is_pending_and_keeps_the_rollout_open(now: datetime) -> None:
    rolling = rollout(now, RolloutStage.ROLLING, wave=2)
    done, called = hosts(now, HostStage.DONE, HostStage.CALLED)
    away = decide.offline(called, now, Temporary("h2 did not answer"))
    assert decide.turned(rolling, (done, away), (), Plan(), False, now) == (rolling, ())
    assert away.due_at is not None
    _, again = decide.turned(rolling, (done, away), (), Plan(), False, away.due_at)
    assert [host.host for host in again] == ["h2"]


@pytest.mark.parametrize("ahead", [False, True])
def test_a_host_that_stays_away_is_called_less_and_less_often_and_uses_up_room_while_it_is(
    ahead: bool, now: datetime
) -> None:
    rolling, plan = rollout(now, RolloutStage.ROLLING, wave=2), Plan(waves=(1, "100%"), ahead=ahead, at_once=1)
    done, host, other = hosts(now, HostStage.DONE, HostStage.PENDING, HostStage.PENDING)
    other = replace(other, due_at=now + timedelta(days=9))
    pauses = []
    for _ in range(12):
        _, (called,) = decide.turned(rolling, (done, host, other), (), plan, False, now)
        assert plan.moving([called], now) == [called], "whoever comes back may pull for long"
        host = decide.offline(called, now, Temporary("h2 did not answer"))
        assert host.due_at is not None
        pauses.append(host.due_at - now)
        now = host.due_at
    assert pauses[0] < timedelta(seconds=3)
    assert timedelta(minutes=11) < pauses[-1] < timedelta(minutes=19)
    _, (called,) = decide.turned(rolling, (done, host, other), (), plan, False, now)
    assert called.at(HostStage.FETCHED, now).attempts == 0, "once it has answered, all of that is forgotten"


def test_a_failed_canary_halts_the_rollout_and_goes_back(now: datetime) -> None:
    rolling = rollout(now, RolloutStage.ROLLING)
    canary, other = hosts(now, HostStage.PROVING, HostStage.PENDING)
    failed = canary.refused(now, Refused("unhealthy"))
    halted, called = decide.turned(rolling, (failed, other), (), Plan(), False, now)
    assert halted.stage is RolloutStage.HALTED
    assert "h1" in halted.reason
    assert called == ()
    assert decide.host_due(failed, halted, now)
    assert decide.goes_back(failed, halted)
    assert not decide.host_due(other, halted, now)


def test_the_hosts_that_were_done_go_back_too_when_the_rollout_halts(now: datetime) -> None:
    halted = rollout(now, RolloutStage.HALTED)
    done, called, returned, stuck = hosts(now, HostStage.DONE, HostStage.CALLED, HostStage.RETURNED, HostStage.STUCK)
    assert not decide.host_due(returned, halted, now)
    assert not decide.host_due(stuck, halted, now), "never a rollback of a rollback"
    _, turned = decide.turned(halted, (done, called), (), Plan(), False, now)
    assert {host.host: host.stage for host in turned} == {"h1": HostStage.RECALLED, "h2": HostStage.PENDING}
    recalled = next(host for host in turned if host.host == "h1")
    assert decide.host_due(recalled, halted, now)
    assert decide.goes_back(recalled, halted)
    assert not decide.is_over(halted, (done,))
    assert decide.is_over(halted, (returned, stuck))


def test_a_fleet_can_bear_as_many_failures_as_it_says(now: datetime) -> None:
    rolling = rollout(now, RolloutStage.ROLLING, wave=2)
    fleet = hosts(now, HostStage.DONE, HostStage.RETURNED, HostStage.DONE)
    after, _ = decide.turned(rolling, fleet, (), Plan(max_failures=1), False, now)
    assert after.stage is RolloutStage.DONE


def test_a_rollout_is_done_when_every_host_is(now: datetime) -> None:
    rolling = rollout(now, RolloutStage.ROLLING, wave=2)
    after, _ = decide.turned(rolling, hosts(now, HostStage.DONE, HostStage.DONE), (), Plan(), False, now)
    assert after.stage is RolloutStage.DONE
    assert after.done_at == now


def test_a_newer_image_supersedes_between_hosts_and_never_in_the_middle_of_one(now: datetime) -> None:
    older, newer = rollout(now, RolloutStage.ROLLING, wave=2), rollout(now, RolloutStage.BUILT, 2)
    fleet = hosts(now, HostStage.DONE, HostStage.PROVING, HostStage.PENDING)
    assert decide.turned(older, fleet, (newer,), Plan(), False, now) == (older, ())
    assert decide.turned(newer, (), (older,), Plan(), False, now) == (newer, ())
    between = hosts(now, HostStage.DONE, HostStage.DONE, HostStage.PENDING)
    assert decide.turned(older, between, (newer,), Plan(), False, now)[0].stage is RolloutStage.SUPERSEDED
    assert decide.turned(newer, (), (), Plan(), False, now)[0].stage is RolloutStage.ROLLING


def test_a_host_that_went_away_in_the_middle_does_not_hold_a_newer_image_back_for_ever(now: datetime) -> None:
    older, newer = rollout(now, RolloutStage.ROLLING, wave=2), rollout(now, RolloutStage.BUILT, 2)
    (gone,) = hosts(now, HostStage.PROVING)
    for _ in range(GIVEN_UP_AFTER):
        gone = gone.again(now, Temporary())
    assert decide.turned(older, (gone,), (newer,), Plan(), False, now)[0].stage is RolloutStage.SUPERSEDED


def test_a_host_that_is_away_does_not_hold_up_what_comes_after_a_halted_rollout(now: datetime) -> None:
    halted = rollout(now, RolloutStage.HALTED)
    returned, lost = hosts(now, HostStage.RETURNED, HostStage.PROVING)
    assert decide.holds_up(halted, (returned, lost), Plan(), now)
    once = lost.again(now, Temporary())
    assert decide.holds_up(halted, (returned, once), Plan(), now)
    assert not decide.holds_up(halted, (returned, once), Plan(cordoned={"h2": "anna"}), now), "a person keeps it out"
    gone = once.again(now, Temporary()).again(now, Temporary())
    assert not decide.holds_up(halted, (returned, gone), Plan(), now)
    assert not decide.is_over(halted, (returned, gone)), "when it returns, and nothing newer came, it goes back"


def test_hosts_that_were_done_go_back_within_the_limits_and_what_failed_waits_for_nobody(now: datetime) -> None:
    slow = {f"h{n}": Place(site="seoul", at_once=1) for n in (3, 4, 5)}
    halted, fleet = rollout(now, RolloutStage.HALTED), hosts(now, HostStage.FAILED, *[HostStage.DONE] * 6)
    _, changed = decide.turned(halted, fleet, (), Plan(at_once=4, places=slow), False, now)
    assert [host.host for host in changed] == ["h2", "h3", "h6"]
    assert decide.host_due(fleet[0], halted, now)
    assert not decide.host_due(fleet[3], halted, now), "it serves well until its turn comes"


def test_an_index_is_not_asked_in_the_first_minute_of_an_hour(now: datetime) -> None:
    quarter = timedelta(minutes=15)
    asked = IndexState(index="packagist", polled_at=now - timedelta(minutes=20))

    def due(
        state: IndexState, at: datetime, *, unseen: bool = False, public: bool = True, person: bool = False
    ) -> bool:
        turn = Turn(at, at - quarter / 2, at_once=person)
        return decide.poll_due(state, unseen, quarter, turn, public=public)

    failed = replace(asked, due_at=now - MINUTE, attempts=1)
    for state, unseen in ((asked, False), (asked, True), (failed, False), (IndexState(index="packagist"), True)):
        assert not due(state, now, unseen=unseen)
        assert due(state, now + 2 * MINUTE, unseen=unseen)
        assert due(state, now, unseen=unseen, person=True), "a person does not wait for others' clocks"
    assert not due(asked, now, public=False)
    assert due(asked, now, unseen=True, public=False), "an index of one's own may be asked for what is new"
    after = [due(replace(asked, index=f"index-{n}"), now + 1.5 * MINUTE) for n in range(50)]
    assert len(set(after)) == 2, "and they do not all go on in one moment"


def test_indexes_that_were_asked_together_are_not_asked_together_again(now: datetime) -> None:
    quarter, at = timedelta(minutes=15), now + 10 * MINUTE
    states = [IndexState(index=f"index-{number}", polled_at=at) for number in range(50)]

    def is_due(state: IndexState, now: datetime) -> bool:
        return decide.poll_due(state, False, quarter, Turn(now, now - quarter / 2))

    due = [sum(is_due(one, at + 0.1 * n * MINUTE) for one in states) for n in range(130, 151)]

    assert due[0] == 0
    assert due[-1] == 50
    assert len(set(due)) > 5
