"""What is known of a package on an index, what is said against it, and how the index itself is."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, Self

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
        return replace(
            self, outcome=Outcome.UNKNOWN, looked_at=now, reason=inert(str(error)), due_at=later, throttled=False
        )


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a feed of changes has been read: `cursor` is its own, `url` its address, and `index` the address of the
    index that has named it. `alone` says that the feed tells everything: there is nothing to be asked besides."""

    cursor: int
    url: str
    index: str
    alone: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup(Word):
    """The last lookup of one package on one index.

    `etag` and `last_modified` make the next request conditional; `digest` is the last answer's, to see that it is the
    same where the index has no such marks. Where the index has several files for a package, `files` has the mark of
    each that was asked for, by what its name ends in, and `feed` is how far its feed of changes was read by then. All
    of these are good for the `program` that has read the answers.

    `releases` are oldest first. `status` is what the index says of the project as a whole, in one word (`archived`,
    `deprecated`, `quarantined`, `abandoned`; empty: nothing), and `status_said` in more. `remark` is what is odd about
    the answer. `advisories` are the index's own. `had_at` is when the index had a package last that is absent now.
    `newest_at` is when the last of all files came out (UTC); None: the index does not tell it of each. `spared_until`
    is until when it need not be asked about the package again (UTC; None: in every round): see `watcher.patience`.
    """

    index: str
    etag: str = ""
    last_modified: str = ""
    digest: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    feed: Mark | None = None
    program: str = ""
    status: str = ""
    status_said: str = ""
    remark: str = ""
    had_at: datetime | None = None
    newest_at: datetime | None = None
    spared_until: datetime | None = None
    releases: Sequence[Release] = ()

    @property
    def name(self) -> str:
        return f"{self.index}:{self.package}"

    def absent(self, now: datetime) -> Self:
        """The lookup after the answer that the index does not have the package."""
        had = self.answered_at if self.outcome is Outcome.ANSWER or self.releases else None
        bare = type(self)(index=self.index, package=self.package, program=self.program, had_at=self.had_at or had)
        gone = replace(bare, changed_at=self.changed_at, revision=self.revision)
        return gone.answered(now, outcome=Outcome.ABSENT)

    def for_program(self, program: str) -> Self:
        """The lookup as `program` may go on from it: what another one has read is asked for again without condition,
        so that it is read as this one reads it."""
        if self.program == program:
            return self
        return replace(self, etag="", last_modified="", digest="", files={}, feed=None, program=program)


class Glance(NamedTuple):
    """Of a lookup, what tells whether it is its turn to be made again, and how the last one went: a tenth of what it
    takes to read the whole."""

    package: str
    outcome: Outcome
    reason: str
    program: str
    looked_at: datetime | None
    answered_at: datetime | None
    changed_at: datetime | None
    due_at: datetime | None
    throttled: bool


class Trace(NamedTuple):
    """Of a lookup, what a feed of changes is asked with."""

    package: str
    answered_at: datetime | None
    files: Mapping[str, str]
    feed: Mark | None


Traces = Callable[[], Sequence[Trace]]
"""Reads them: nobody else needs them."""


class Unchanged(NamedTuple):
    """Packages of which a feed has told nothing new, and how far it has been read. Of the others, `changed` is when
    their files have changed last, as the feed has it; None: it cannot tell."""

    packages: Set[str]
    mark: Mark
    changed: Mapping[str, float] | None


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
    the last time that an answer was other than before. `told` is how far its feed of changes was read by `told_at`, for
    all lookups that were made at `told_from` (UTC): see `watcher.feed`. `spared_by` are the terms on which lookups are
    spared: see `watcher.patience`.
    """

    index: str
    polled_at: datetime | None = None
    answered_at: datetime | None = None
    changed_at: datetime | None = None
    unknown_since: datetime | None = None
    told: Mark | None = None
    told_at: datetime | None = None
    told_from: datetime | None = None
    spared_by: str = ""
    packages: int = 0
    unknown: int = 0

    @property
    def name(self) -> str:
        return self.index

    def is_silent(self, longest: timedelta) -> bool:
        """Whether there are packages that it has not answered for, for as long as that. Who asks to be left alone until
        then is silent from now on."""
        if self.unknown_since is None or self.polled_at is None:
            return False
        return max(self.polled_at, self.due_at or self.polled_at) - self.unknown_since >= longest

    def again(self, now: datetime, error: Temporary) -> Self:
        tried = Entry.again(self, now, error)
        return replace(tried, polled_at=now, unknown_since=self.unknown_since or now)

    def refused(self, now: datetime, error: Refused) -> Self:
        failed = replace(self, polled_at=now, unknown_since=self.unknown_since or now)
        return replace(failed, reason=inert(str(error)), due_at=now + REFUSED_AGAIN, throttled=False)
