"""A receiver of notices, and how far it has got in the list of events: the outbox.

One cursor per receiver instead of one row per message: what has happened stands in `events` once, and a receiver that
is down for a day holds back nobody and loses nothing.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from watcher.entry import Entry
from watcher.errors import Refused
from watcher.inert import inert

REFUSED_AGAIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver(Entry):
    """`cursor` is the id of the last event that `receiver` has taken."""

    receiver: str
    cursor: int = 0
    delivered_at: datetime | None = None

    @property
    def name(self) -> str:
        return self.receiver

    def refused(self, now: datetime, error: Refused) -> Self:
        return replace(
            self, reason=inert(str(error)), attempts=self.attempts + 1, due_at=now + REFUSED_AGAIN, throttled=False
        )
