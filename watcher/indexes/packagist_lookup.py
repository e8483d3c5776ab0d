"""What the answers of a Composer repository make of a lookup."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from watcher.errors import IndexLied, IndexRefused, IndexUnreachable, Refused, Temporary
from watcher.http import Response
from watcher.indexes.packagist_feed import BRANCHES
from watcher.indexes.packagist_metadata import Metadata, moved, parse, read
from watcher.lookup import Lookup, Outcome
from watcher.versions.composer import is_a_branch

T = TypeVar("T")
ABANDONED = "abandoned"
_VALIDATOR = re.compile(r"[\x20-\x7e]{1,100}")
_BETWEEN = " | "
"""Between the marks of a package's two files: of its tags, and of its branches."""

Answer = Response | IndexUnreachable


def body_of(response: Response) -> bytes:
    """The body of an answer. Raises `IndexRefused` or `IndexLied` if it is none."""
    match response.status:
        case 200:
            return response.body
        case 401 | 403 | 407:
            raise IndexRefused(response.url, f"it says {response.status}")
        case status:
            raise IndexLied(response.url, "status", "200", str(status))


@dataclass(frozen=True, slots=True)
class Learning:
    """How lookups are learned `now` (UTC); those of the packages `branches` are of branches, too."""

    branches: frozenset[str]
    now: datetime

    def suffixes(self, lookup: Lookup) -> tuple[str, ...]:
        """What the names of the package's files end in."""
        return ("", BRANCHES) if lookup.package in self.branches else ("",)

    def is_complete(self, lookup: Lookup) -> bool:
        """Whether the package was asked for the last time in all of its files."""
        return not lookup.last_modified or len(lookup.last_modified.split(_BETWEEN)) == len(self.suffixes(lookup))

    def since(self, lookup: Lookup, number: int) -> str:
        """When a file of the package was changed last, as the repository has said it; empty if it has not."""
        marks = lookup.last_modified.split(_BETWEEN)
        return marks[number] if number < len(marks) else ""

    def is_stale(self, lookup: Lookup, answers: Sequence[Answer], changed_at: float) -> bool:
        """Whether the answers are from before a change (Unix time)."""
        said = [answer.headers.get("last-modified", "") for answer in answers if isinstance(answer, Response)]
        if any(isinstance(answer, Response) and answer.status == 304 for answer in answers):
            said += lookup.last_modified.split(_BETWEEN)
        known = [time for text in said if (time := _unix(text)) is not None]
        return bool(changed_at and known) and max(known) < changed_at

    def learned(self, lookup: Lookup, answers: Sequence[Answer], mark: str) -> Lookup:
        """The lookup after the answers for its files."""
        found: list[Metadata] = []
        modified: list[str] = []
        try:
            for number, answer in enumerate(answers):
                if isinstance(answer, IndexUnreachable):
                    raise answer
                metadata, since = self._read(lookup, answer, number)
                if metadata is None and number == 0:
                    return self.absent(lookup, mark)
                found.append(metadata or Metadata())
                modified.append(since)
        except (Temporary, Refused) as error:
            return lookup.unanswered(self.now, error)
        return self._known(lookup, found, _BETWEEN.join(modified), mark)

    def inline(self, lookup: Lookup, versions: object, url: str) -> Lookup:
        """The lookup of a package whose versions stand in the root. It has no mark: the feed tells nothing of it."""
        try:
            metadata = self._only_wanted(lookup, read(versions, lookup.package, url))
        except IndexLied as error:
            return lookup.unanswered(self.now, error)
        return self._known(lookup, [metadata], "", "")

    def absent(self, lookup: Lookup, mark: str) -> Lookup:
        """The lookup of a package that is not there."""
        nothing = dict.fromkeys(("last_modified", "status", "status_said", "remark"), "")
        return lookup.answered(self.now, outcome=Outcome.ABSENT, releases=(), advisories=(), etag=mark, **nothing)

    def _only_wanted(self, lookup: Lookup, metadata: Metadata) -> Metadata:
        """Version 1 has tags and branches in one place."""
        if lookup.package in self.branches:
            return metadata
        return replace(metadata, releases=tuple(r for r in metadata.releases if not is_a_branch(r.version)))

    def _read(self, lookup: Lookup, answer: Response, number: int) -> tuple[Metadata | None, str]:
        """What one file says, and when it was last changed; None if there is none."""
        since = self.since(lookup, number)
        if answer.status == 304 and since:
            return self._unchanged(lookup, number), since
        if answer.status in (404, 410):
            return None, ""
        metadata = parse(body_of(answer), lookup.package, answer.url)
        said = answer.headers.get("last-modified", "")
        return self._only_wanted(lookup, metadata), said if _VALIDATOR.fullmatch(said) and _BETWEEN not in said else ""

    def _unchanged(self, lookup: Lookup, number: int) -> Metadata:
        """What is known of a package from one of its files."""
        mine = tuple(release for release in lookup.releases if is_a_branch(release.version) is (number == 1))
        return Metadata(mine) if number else Metadata(mine, lookup.status_said, tuple(lookup.advisories))

    def _known(self, lookup: Lookup, found: Sequence[Metadata], modified: str, mark: str) -> Lookup:
        before = {release.version: release for release in lookup.releases}
        releases = [moved(before.get(one.version, one), one) for metadata in found for one in metadata.releases]
        tags = found[0]
        return lookup.answered(
            self.now,
            outcome=Outcome.ANSWER,
            releases=same(lookup.releases, releases),
            advisories=tags.advisories,
            status=ABANDONED if tags.abandoned else "",
            status_said=tags.abandoned,
            last_modified=modified,
            etag=mark,
            remark="",
        )


def same(before: Sequence[T], after: Sequence[T]) -> Sequence[T]:
    """The values as they were, if they are the same: then they need not be packed and written again."""
    return before if len(before) == len(after) and tuple(before) == tuple(after) else tuple(after)


def _unix(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).replace(tzinfo=UTC).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
