"""What every entry of the ledger has: a name, a number of attempts, and a time before which nobody tries again."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from watcher.errors import Refused, Temporary
from watcher.inert import inert
from watcher.retry import REFUSED_AGAIN, retry_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row that is worked on. `revision` counts its changes: the ledger writes only over the revision it read.

    `throttled`: it is the other side that wants to be left alone until `due_at`, so nobody's hurry ends that pause.
    """

    reason: str = ""
    attempts: int = 0
    due_at: datetime | None = None
    throttled: bool = False
    revision: int = 0

    @property
    def name(self) -> str:
        """What messages, leases and people call this entry."""
        raise NotImplementedError

    def is_due(self, now: datetime) -> bool:
        """Whether the time to try (again) has come."""
        return self.due_at is None or self.due_at <= now

    def again(self, now: datetime, error: Temporary) -> Self:
        """The entry after a step that could not be done now: the same stage, a reason, and a later time."""
        return replace(
            self,
            reason=inert(str(error)),
            attempts=self.attempts + 1,
            due_at=retry_at(self.name, self.attempts, now, error.retry_after),
            throttled=error.retry_after is not None,
        )

    def refused(self, now: datetime, error: Refused) -> Self:
        """The entry after a step that a person has to mend. Nobody tells us when, so it is tried again by and by."""
        later = now + REFUSED_AGAIN
        return replace(self, reason=inert(error.advice), attempts=self.attempts + 1, due_at=later, throttled=False)
