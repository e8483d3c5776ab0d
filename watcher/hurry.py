"""What a person who starts a round wants: what has failed is tried again now, and not after its pause."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from watcher import rollouts
from watcher.bump import Bump, BumpStage
from watcher.entry import Entry
from watcher.head import Head
from watcher.ledger import Ledger
from watcher.proposal import Proposals
from watcher.rollout import HostState
from watcher.settings import Settings
from watcher.wish import insistent


@insistent
def hurry(settings: Settings, ledger: Ledger, now: datetime) -> int:
    """Ends the pauses that we have set ourselves after a failure, once; how many there were.

    A pause that the other side asked for is kept, and so is what waits for its hour and not because it failed. Indexes
    and receivers are not among them: whom a round asks is for `Turn` to say.
    """
    paused = [one for one in _tried(settings, ledger) if _is_paused(one, now)]
    ledger.write([(one, replace(one, due_at=None)) for one in paused], now)
    return len(paused)


def _tried(settings: Settings, ledger: Ledger) -> Iterable[Entry]:
    apps = list(settings.apps)
    yield from ledger.all(Head, app=apps)
    yield from ledger.all(Proposals, app=apps)
    yield from ledger.all(Bump, app=apps, stage=[BumpStage.FOUND, BumpStage.PROPOSED])
    for app in apps:
        for going in rollouts.going(ledger, app):
            yield going
            yield from ledger.all(HostState, rollout=going.id)


def _is_paused(entry: Entry, now: datetime) -> bool:
    return entry.attempts > 0 and not entry.throttled and not entry.is_due(now)
