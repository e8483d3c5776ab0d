"""What a step needs besides its entry: settings, ledger, clock, and a way to send orders."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from watcher.ledger import Ledger
from watcher.order import Lane, Order
from watcher.settings import Settings
from watcher.turn import Turn


class Post(Protocol):
    """How orders travel: through a broker, or to the next thread."""

    def send(self, order: Order, id: str, lane: Lane = Lane.HERE) -> None:
        """Sends an order by a lane. It may arrive late, twice or never: the ledger decides what is true."""
        ...

    def nudge(self) -> None:
        """Asks for a look soon, because something has changed. Losing it only costs time."""
        ...


@dataclass(frozen=True, slots=True)
class Desk:
    """`fresh_since`: surveys and polls from before this time (UTC) do not count, whatever their interval says."""

    settings: Settings
    ledger: Ledger
    clock: Callable[[], datetime]
    post: Post
    fresh_since: datetime | None = None

    def every(self, interval: timedelta, now: datetime) -> timedelta:
        """`interval`, or the time since `fresh_since` if that is shorter."""
        return interval if self.fresh_since is None else min(interval, now - self.fresh_since)

    def turn(self, interval: timedelta, now: datetime) -> Turn:
        """Whose turn it is at what is asked every `interval`: not theirs who were asked in the last half of that."""
        since = now - interval / 2
        return Turn(now, since if self.fresh_since is None else max(since, self.fresh_since), bool(self.fresh_since))
