"""What is known of a package on an index, and of the index itself."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from watcher.entry import Entry
from watcher.errors import Refused
from watcher.inert import inert
from watcher.release import Release

REFUSED_AGAIN = timedelta(minutes=15)


class Outcome(StrEnum):
    """A lookup has three outcomes, and *unknown* is never read as "nothing new"."""

    ANSWER = "answer"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup(Entry):
    """The last lookup of one package on one index, with what was known before it if it failed.

    `looked_at` is the last time that we asked, `answered_at` the last time that the index answered (UTC); `releases`
    are the answer's. `etag`, `last_modified` and `serial` make the next request conditional.
    """

    index: str
    package: str
    outcome: Outcome = Outcome.UNKNOWN
    looked_at: datetime | None = None
    answered_at: datetime | None = None
    etag: str = ""
    last_modified: str = ""
    releases: tuple[Release, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.index}:{self.package}"

    def refused(self, now: datetime, error: Refused) -> Self:
        return replace(
            self, outcome=Outcome.UNKNOWN, looked_at=now, reason=inert(str(error)), due_at=now + REFUSED_AGAIN
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexState(Entry):
    """How the last poll of an index went. `unknown` counts the packages that it did not answer for."""

    index: str
    polled_at: datetime | None = None
    answered_at: datetime | None = None
    packages: int = 0
    unknown: int = 0

    @property
    def name(self) -> str:
        return self.index

    def refused(self, now: datetime, error: Refused) -> Self:
        return replace(self, polled_at=now, reason=inert(str(error)), due_at=now + REFUSED_AGAIN)
