"""Asking an index or a source of advisories."""

from datetime import datetime

from watcher.advisories import SOURCES
from watcher.desk import Desk
from watcher.http import Http
from watcher.lookup import IndexState
from watcher.poll import poll_index, poll_source
from workers.carry import Step
from workers.indexes import open_index


def _due(desk: Desk, state: IndexState, now: datetime) -> bool:
    # Whether a package was never asked about is the look's question: it only sends the order sooner.
    known = state.index in desk.settings.indexes or state.index in desk.settings.advisories
    return known and state.is_due(now)


def _do(desk: Desk, state: IndexState) -> IndexState:
    settings, ledger = desk.settings, desk.ledger
    with Http(settings.toplayer.contact) as http:
        if state.index in settings.advisories:
            asked = settings.advisories[state.index]
            return poll_source(state, settings, ledger, SOURCES[asked.kind](asked), http, desk.clock())
        return poll_index(state, settings, ledger, open_index(state.index, settings), http, desk.clock())


POLL = Step(lambda desk, id: desk.ledger.find(IndexState, index=id), _due, _do)
