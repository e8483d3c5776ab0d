"""When the world outside is asked: an app's branch, and the indexes."""

from collections.abc import Collection
from datetime import datetime, timedelta

from watcher.bump import Bump, BumpStage
from watcher.head import Head
from watcher.lookup import IndexState
from watcher.retry import share
from watcher.turn import Turn

MINUTE = timedelta(minutes=1)


def survey_due(head: Head, bumps: Collection[Bump], every: timedelta, now: datetime) -> bool:
    """Whether the app's branch should be looked at: it is time, or something of ours was just pushed there."""
    if not head.is_due(now):
        return False
    if head.surveyed_at is None or now - head.surveyed_at >= every:
        return True
    return any(
        bump.stage is BumpStage.PROPOSED and bump.proposed_at is not None and bump.proposed_at > head.surveyed_at
        for bump in bumps
    )


def poll_due(state: IndexState, unseen: bool, every: timedelta, turn: Turn, *, public: bool = True) -> bool:
    """Whether an index should be polled: it is time, or there are packages that it was never asked about, or for which
    it did not answer. When everybody's clocks ask, only a person may, and who is in a hurry at an index of his own."""
    hurry = unseen or state.due_at is not None or state.polled_at is None
    is_rush = every >= MINUTE and rush_left(turn.now, state.index, state.polled_at) > timedelta()
    if is_rush and not turn.at_once and (public or not hurry):
        return False
    if state.due_at is not None or state.polled_at is None:
        return turn.has(state.polled_at, state.due_at, state.throttled)
    at_once = turn.at_once and turn.has(state.polled_at, None)
    return unseen or at_once or turn.now - state.polled_at >= every * (1 - 0.1 * share(state.index, state.polled_at))


def rush_left(now: datetime, *chance: object) -> timedelta:
    """How long everybody's clocks still ask, if an hour has just begun: for a minute, or up to two by `chance`. Who
    waits for its end does not go on with all the others."""
    begun = timedelta(minutes=now.minute, seconds=now.second)
    return max(MINUTE * (1 + share(*chance)) - begun, timedelta())
