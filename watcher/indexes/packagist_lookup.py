"""What the answers of a Composer repository make of a lookup."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from watcher.errors import IndexLied, IndexRefused, IndexUnreachable, Refused, Temporary
from watcher.http import Response
from watcher.indexes.packagist_feed import News
from watcher.indexes.packagist_metadata import Metadata, moved, parse, read
from watcher.lookup import Lookup, Mark, Outcome, Trace
from watcher.versions.composer import is_a_branch

T = TypeVar("T")
ABANDONED = "abandoned"
TAGS, BRANCHES = "", "~dev"
"""What the names of a package's two files end in."""
_VALIDATOR = re.compile(r"[\x20-\x7e]{1,100}")

Answer = Response | IndexUnreachable
Answers = Mapping[str, Answer]
"""The answers for the files of a package, by what their names end in. That of its tags comes first."""


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

    def suffixes(self, lookup: Lookup | Trace) -> tuple[str, ...]:
        """What the names of the package's files end in."""
        return (TAGS, BRANCHES) if lookup.package in self.branches else (TAGS,)

    def is_complete(self, lookup: Lookup | Trace) -> bool:
        """Whether the package was asked for the last time in all of the files that are wanted now, and in no other."""
        return lookup.files.keys() == set(self.suffixes(lookup))

    def is_stale(self, lookup: Lookup, answers: Answers, news: News) -> bool:
        """Whether one of the answers is from before the change that the feed tells of."""
        return any(
            _is_older(lookup.files.get(suffix, ""), answer, news.changed_at(f"{lookup.package}{suffix}"))
            for suffix, answer in answers.items()
            if isinstance(answer, Response)
        )

    def learned(self, lookup: Lookup, answers: Answers, mark: Mark | None) -> Lookup:
        """The lookup after the answers for its files."""
        found: list[Metadata] = []
        files: dict[str, str] = {}
        try:
            for suffix, answer in answers.items():
                if isinstance(answer, IndexUnreachable):
                    raise answer
                metadata, files[suffix] = self._read(lookup, answer, suffix)
                if metadata is None and suffix == TAGS:
                    return self.absent(lookup, mark)
                found.append(metadata or Metadata())
        except (Temporary, Refused) as error:
            return lookup.unanswered(self.now, error)
        return self._known(lookup, found, files, mark)

    def inline(self, lookup: Lookup, versions: object, url: str) -> Lookup:
        """The lookup of a package whose versions stand in the root. It has no mark: the feed tells nothing of it."""
        try:
            metadata = self._only_wanted(lookup, read(versions, lookup.package, url))
        except IndexLied as error:
            return lookup.unanswered(self.now, error)
        return self._known(lookup, [metadata], {}, None)

    def absent(self, lookup: Lookup, mark: Mark | None) -> Lookup:
        """The lookup of a package that is not there."""
        return replace(lookup.absent(self.now), files=dict.fromkeys(self.suffixes(lookup), ""), feed=mark)

    def _only_wanted(self, lookup: Lookup, metadata: Metadata) -> Metadata:
        """Version 1 has tags and branches in one place."""
        if lookup.package in self.branches:
            return metadata
        return replace(metadata, releases=tuple(r for r in metadata.releases if not is_a_branch(r.version)))

    def _read(self, lookup: Lookup, answer: Response, suffix: str) -> tuple[Metadata | None, str]:
        """What one file says, and when it was last changed; None if there is none."""
        since = lookup.files.get(suffix, "")
        if answer.status == 304 and since:
            return self._unchanged(lookup, suffix), since
        if answer.status in (404, 410):
            return None, ""
        metadata = parse(body_of(answer), lookup.package, answer.url)
        said = answer.headers.get("last-modified", "")
        return self._only_wanted(lookup, metadata), said if _VALIDATOR.fullmatch(said) else ""

    def _unchanged(self, lookup: Lookup, suffix: str) -> Metadata:
        """What is known of a package from one of its files."""
        mine = tuple(release for release in lookup.releases if is_a_branch(release.version) is (suffix == BRANCHES))
        return Metadata(mine) if suffix else Metadata(mine, lookup.status_said, tuple(lookup.advisories))

    def _known(self, lookup: Lookup, found: Sequence[Metadata], files: Mapping[str, str], mark: Mark | None) -> Lookup:
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
            files=files,
            feed=mark,
            had_at=None,
            remark="",
        )


def same(before: Sequence[T], after: Sequence[T]) -> Sequence[T]:
    """The values as they were, if they are the same: then they need not be packed and written again."""
    return before if len(before) == len(after) and tuple(before) == tuple(after) else tuple(after)


def _is_older(known: str, answer: Response, changed_at: float) -> bool:
    """Whether the answer for a file is from before `changed_at` (Unix; 0: nobody says that it has changed). `known` is
    when it was changed as far as we knew."""
    if not changed_at or answer.status in (404, 410):
        return bool(changed_at)
    at = _unix(known if answer.status == 304 else answer.headers.get("last-modified", ""))
    return at is not None and at < changed_at


def _unix(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).replace(tzinfo=UTC).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
