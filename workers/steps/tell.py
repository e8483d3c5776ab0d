"""Telling a receiver what happened."""

from datetime import datetime

from watcher.desk import Desk
from watcher.http import Http
from watcher.receiver import Receiver
from workers.carry import Step
from workers.notify.post import LIMITS, poster
from workers.notify.tell import channel, tell


def _due(desk: Desk, receiver: Receiver, now: datetime) -> bool:
    named = receiver.receiver in desk.settings.notify.names()
    return named and receiver.is_due(now) and receiver.cursor < desk.ledger.last_event()


def _do(desk: Desk, receiver: Receiver) -> Receiver:
    to = channel(receiver.receiver, desk.settings.notify)
    events = desk.ledger.events(after=receiver.cursor, limit=to.batch)
    with Http(desk.settings.toplayer.contact, limits=LIMITS) as http:
        return tell(receiver, to, events, poster(http, receiver.receiver), desk.clock)


TELL = Step(lambda desk, id: desk.ledger.find(Receiver, receiver=id), _due, _do)
