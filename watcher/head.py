"""What a survey saw: the tip of an app's branch, and the pins in its lockfile there."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from watcher.entry import Entry
from watcher.errors import Refused
from watcher.inert import inert
from watcher.pin import Pin

REFUSED_AGAIN = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head(Entry):
    """The tip of `app`'s branch: `commit` (empty before the first survey), its time, its pins, and our branches.

    `branches` maps each branch of the remote that toplayer opened to its tip.
    """

    app: str
    commit: str = ""
    committed_at: datetime | None = None
    surveyed_at: datetime | None = None
    pins: tuple[Pin, ...] = ()
    branches: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        return self.app

    def refused(self, now: datetime, error: Refused) -> Self:
        # A person has to mend the repository; nobody tells us when, so we look again by ourselves.
        return replace(self, reason=inert(str(error)), attempts=self.attempts + 1, due_at=now + REFUSED_AGAIN)
