"""What is known of a package on an index, what is said against it, and how the index itself is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from watcher.advisory import Advisory
from watcher.entry import Entry
from watcher.errors import Refused, Temporary
from watcher.inert import inert
from watcher.release import Release

REFUSED_AGAIN = timedelta(minutes=15)


class Outcome(StrEnum):
    """A lookup has three outcomes, and *unknown* is never read as "nothing new"."""

    ANSWER = "answer"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Word(Entry):
    """What somebody said of a package when asked for the last time, with what was said before if that failed.

    `looked_at` is the last time that we asked, `answered_at` the last time that there was an answer, `changed_at` the
    last time that this was other than before (UTC). `advisories` are all of the package's, whichever version they are
    about.
    """

    package: str
    outcome: Outcome = Outcome.UNKNOWN
    looked_at: datetime | None = None
    answered_at: datetime | None = None
    changed_at: datetime | None = None
    advisories: Sequence[Advisory] = ()

    def answered(self, now: datetime, **said: Any) -> Self:
        """The word, with what an answer says."""
        return replace(self, looked_at=now, answered_at=now, reason="", attempts=0, due_at=None, **said)

    def unanswered(self, now: datetime, error: Temporary | Refused) -> Self:
        """The word after no answer: *unknown*, and else as it was."""
        if isinstance(error, Refused):
            return self.refused(now, error)
        return replace(self.again(now, error), outcome=Outcome.UNKNOWN, looked_at=now)

    def refused(self, now: datetime, error: Refused) -> Self:
        later = now + REFUSED_AGAIN
        return replace(self, outcome=Outcome.UNKNOWN, looked_at=now, reason=inert(str(error)), due_at=later)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup(Word):
    """The last lookup of one package on one index.

    `etag` and `last_modified` make the next request conditional; `digest` is the last answer's, to see that it is the
    same where the index has no such marks. `releases` are oldest first. `status` is what the index says of the project
    as a whole, in one word (`archived`, `deprecated`, `quarantined`, `abandoned`; empty: nothing), and `status_said` in
    more. `remark` is what is odd about the answer. `advisories` are the index's own.
    """

    index: str
    etag: str = ""
    last_modified: str = ""
    digest: str = ""
    status: str = ""
    status_said: str = ""
    remark: str = ""
    releases: Sequence[Release] = ()

    @property
    def name(self) -> str:
        return f"{self.index}:{self.package}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulletin(Word):
    """What one source of advisories says of one package."""

    source: str
    ecosystem: str

    @property
    def name(self) -> str:
        return f"{self.source}:{self.ecosystem}:{self.package}"


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexState(Entry):
    """How the last poll of an index, or of a source of advisories, went.

    `unknown` counts the packages that it did not answer for, and `unknown_since` is when that began. `changed_at` is
    the last time that an answer was other than before.
    """

    index: str
    polled_at: datetime | None = None
    answered_at: datetime | None = None
    changed_at: datetime | None = None
    unknown_since: datetime | None = None
    packages: int = 0
    unknown: int = 0

    @property
    def name(self) -> str:
        return self.index

    def is_silent(self, longest: timedelta) -> bool:
        """Whether there are packages that it has not answered for, for as long as that."""
        if self.unknown_since is None or self.polled_at is None:
            return False
        return self.polled_at - self.unknown_since >= longest

    def again(self, now: datetime, error: Temporary) -> Self:
        tried = Entry.again(self, now, error)
        return replace(tried, polled_at=now, unknown_since=self.unknown_since or now)

    def refused(self, now: datetime, error: Refused) -> Self:
        since = self.unknown_since or now
        return replace(self, polled_at=now, unknown_since=since, reason=inert(str(error)), due_at=now + REFUSED_AGAIN)
