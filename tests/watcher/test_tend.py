"""What follows for a bump that waits to be merged: pure, and on one page."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from watcher import tend
from watcher.bump import Bump, BumpStage
from watcher.event import told
from watcher.head import Head
from watcher.proposal import Checks, Proposal, Proposals, ProposalState, Tended

MINUTE = timedelta(minutes=1)
BRANCH = "toplayer/shop/side"
MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def bump(now: datetime, to: str = "1.1", **more: Any) -> Bump:
    made = Bump(
        id=Bump.id_of("shop", "side", to),
        app="shop",
        ecosystem="pypi",
        package="side",
        from_version="1.0",
        to_version=to,
        found_at=now,
    )
    return replace(made.at(BumpStage.PROPOSED, now, branch=BRANCH, commit="c1", proposal=7), **more)


def head(now: datetime, **branches: str) -> Head:
    named = {BRANCH: "c1"} if not branches else {name.replace("__", "/"): tip for name, tip in branches.items()}
    return Head(app="shop", commit="main1", surveyed_at=now, branches=tuple(named.items()))


def proposal(**more: Any) -> Proposal:
    key = bump(MONDAY).key
    return replace(Proposal(number=7, url="https://forge.example/7", branch=BRANCH, tip="c1", key=key), **more)


def tended(now: datetime, one: Proposal | None = None, **more: Any) -> Proposals:
    known = Tended(bump="shop:side:1.1", proposal=one or proposal(), **more)
    return Proposals(app="shop", looked_at=now, tended=(known,))


def test_it_is_tended_at_once_when_it_is_new_and_when_it_has_ended_and_else_every_so_often(now: datetime) -> None:
    waiting, later = bump(now), now + MINUTE
    assert tend.due(Proposals(app="shop"), head(now), [waiting], 5 * MINUTE, now)
    assert not tend.due(tended(now), head(now), [waiting], 5 * MINUTE, later)
    assert tend.due(tended(now), head(now), [waiting], 5 * MINUTE, now + 5 * MINUTE)
    assert tend.due(tended(now), head(now), [], 5 * MINUTE, later)
    assert not tend.due(Proposals(app="shop", looked_at=now), Head(app="shop"), [], 5 * MINUTE, later)


def test_one_whose_proposal_is_not_there_any_more_waits_without_one(now: datetime) -> None:
    waiting = bump(now, url="https://forge.example/7")
    gone = Proposals(app="shop", looked_at=now + MINUTE, tended=(Tended(bump=waiting.id),))
    after = tend.judged(waiting, head(now), gone, now + MINUTE)
    assert (after.stage, after.proposal, after.url) == (BumpStage.PROPOSED, 0, "")
    assert told(waiting, after, now) is None


def test_a_forge_that_wants_rest_is_not_looked_at(now: datetime) -> None:
    resting = replace(tended(now), due_at=now + 30 * MINUTE, reason="limited")
    assert not tend.due(resting, head(now), [bump(now)], MINUTE, now + 5 * MINUTE)
    assert tend.due(resting, head(now), [bump(now)], MINUTE, now + 30 * MINUTE)


def test_a_branch_of_ours_that_nobody_has_is_looked_at_once(now: datetime) -> None:
    over = head(now, toplayer__shop__old="c0")
    nobody = Proposals(app="shop", looked_at=now)
    assert tend.due(nobody, over, [], MINUTE, now)
    assert not tend.due(replace(nobody, kept=("c0",)), over, [], MINUTE, now)


def test_a_branch_that_an_open_bump_will_find_is_not_looked_at(now: datetime) -> None:
    found = replace(bump(now), stage=BumpStage.FOUND, branch="", commit="", proposal=0)
    nobody = Proposals(app="shop", looked_at=now)
    assert not tend.due(nobody, head(now), [found], MINUTE, now)
    assert tend.due(nobody, head(now), [], MINUTE, now)


def test_a_closed_proposal_closes_the_bump(now: datetime) -> None:
    closed = proposal(state=ProposalState.CLOSED)
    seen = tend.judged(bump(now), head(now), tended(now + MINUTE, closed), now + MINUTE)
    assert (seen.stage, seen.reason) == (BumpStage.CLOSED, "https://forge.example/7 was closed")


def test_what_was_seen_before_it_was_proposed_anew_says_nothing(now: datetime) -> None:
    closed = proposal(state=ProposalState.CLOSED)
    waiting = bump(now + MINUTE)
    assert tend.judged(waiting, head(now), tended(now, closed), now + 2 * MINUTE) is waiting


def test_a_merge_counts_when_the_lock_holds_it_and_a_merge_elsewhere_does_not(now: datetime) -> None:
    merged = tended(now + MINUTE, proposal(state=ProposalState.MERGED))
    waiting = bump(now)
    assert tend.judged(waiting, head(now), merged, now + MINUTE) is waiting  # the survey is older
    after = tend.judged(waiting, head(now + 2 * MINUTE), merged, now + 2 * MINUTE)
    assert after.stage is BumpStage.CLOSED
    assert "the lockfile does not hold it" in after.reason


def test_what_is_in_the_way_is_made_anew_unless_a_person_works_on_it(now: datetime) -> None:
    known = tended(now + MINUTE, rebase="it was changed in the meantime")
    back = tend.judged(bump(now), head(now), known, now + MINUTE)
    assert (back.stage, back.reason, back.proposal, back.branch) == (BumpStage.FOUND, known.tended[0].rebase, 7, BRANCH)
    theirs = head(now, toplayer__shop__side="c2")
    assert tend.judged(bump(now), theirs, known, now + MINUTE).stage is BumpStage.PROPOSED


def test_the_newest_of_the_same_packages_has_the_branch(now: datetime) -> None:
    old, new = bump(now), bump(now + MINUTE, "1.2")
    assert tend.overtaken(old, [old, new], now).stage is BumpStage.SUPERSEDED
    assert tend.overtaken(new, [old, new], now) is new
    other = replace(new, package="core")
    assert tend.overtaken(old, [old, other], now) is old


@pytest.mark.parametrize(
    ("one", "may"),
    [
        (proposal(checks=Checks.GREEN), True),
        (proposal(checks=Checks.RED), False),
        (proposal(checks=Checks.RUNNING), False),
        (proposal(), False),
        (proposal(checks=Checks.GREEN, draft=True), False),
        (proposal(checks=Checks.GREEN, queued=True), False),
        (proposal(checks=Checks.GREEN, tip="c2"), False),
        (proposal(checks=Checks.GREEN, key=""), False),
        (proposal(checks=Checks.GREEN, key="of an older version"), False),
        (proposal(checks=Checks.GREEN, state=ProposalState.CLOSED), False),
    ],
)
def test_only_exactly_our_commit_with_green_checks_is_merged(now: datetime, one: Proposal, may: bool) -> None:
    (known,) = tended(now, one).tended
    assert tend.may_merge(known, bump(now), now + 2 * MINUTE) is may
    assert not tend.may_merge(known, bump(now), now)  # other checks may not have reported yet
    assert not tend.may_merge(replace(known, rebase="behind"), bump(now), now + 2 * MINUTE)
    assert not tend.may_merge(replace(known, asked_at=now), bump(now), now + 2 * MINUTE)


def test_a_bump_that_is_opened_again_has_another_key(now: datetime) -> None:
    first = bump(now)
    assert first.key == bump(now, reason="whatever").key
    assert first.key != replace(first, found_at=now + MINUTE).key
    assert first.key != bump(now, "1.2").key


def test_a_forge_that_does_not_answer_for_long_is_told_once(now: datetime) -> None:
    before = replace(tended(now), attempts=4)
    after = replace(before, attempts=5, reason="it says 503")
    happened = told(before, after, now)
    assert happened is not None
    assert (happened.kind, happened.app) == ("forge.unreachable", "shop")
    assert told(after, replace(after, attempts=6), now) is None
    again = told(after, replace(after, attempts=0, reason=""), now)
    assert again is not None
    assert again.kind == "forge.answers"


def test_a_bump_that_does_not_get_through_is_told_once_whatever_else_changes_about_it(now: datetime) -> None:
    stuck = replace(bump(now), attempts=5, reason="the token ran out")
    happened = told(replace(stuck, attempts=4), stuck, now)
    assert happened is not None
    assert happened.kind == "bump.stalled"
    assert told(stuck, replace(stuck, by="anna"), now) is None


def test_a_lock_that_is_not_watched_is_told_once(now: datetime) -> None:
    seen = replace(head(now), remark="dev.txt: line 1: expected a requirement")
    happened = told(head(now), seen, now)
    assert happened is not None
    assert (happened.kind, happened.facts["reason"]) == ("app.unwatched", seen.remark)
    assert told(seen, replace(seen, surveyed_at=now + MINUTE), now) is None


def test_a_bump_that_is_sent_back_is_told_as_that(now: datetime) -> None:
    waiting = bump(now)
    happened = told(waiting, waiting.at(BumpStage.FOUND, now, reason="it no longer fits"), now)
    assert happened is not None
    assert happened.kind == "bump.sent_back"
