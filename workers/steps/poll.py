"""Asking an index or a source of advisories."""

from datetime import datetime

from watcher.advisories import SOURCES
from watcher.desk import Desk
from watcher.http import Http
from watcher.lookup import IndexState
from watcher.poll import poll_index, poll_source
from watcher.turn import Turn
from workers.carry import Step
from workers.indexes import open_index


def _due(desk: Desk, state: IndexState, now: datetime) -> bool:
    # Whose turn it is of the packages is seen when they are read: this only asks whether the index may be asked at all.
    known = state.index in desk.settings.indexes or state.index in desk.settings.advisories
    return known and (state.is_due(now) or _turn(desk, state, now).has(state.polled_at, state.due_at, state.throttled))


def _do(desk: Desk, state: IndexState) -> IndexState:
    settings, ledger, turn = desk.settings, desk.ledger, _turn(desk, state, desk.clock())
    with Http(settings.toplayer.contact) as http:
        if state.index in settings.advisories:
            asked = settings.advisories[state.index]
            return poll_source(state, settings, ledger, SOURCES[asked.kind](asked), http, turn)
        return poll_index(state, settings, ledger, open_index(state.index, settings), http, turn)


def _turn(desk: Desk, state: IndexState, now: datetime) -> Turn:
    return desk.turn(desk.settings.polled_every(state.index), now)


POLL = Step(lambda desk, id: desk.ledger.find(IndexState, index=id), _due, _do)
