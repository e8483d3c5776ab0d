"""The feed of changes of a Composer repository: one request tells of a thousand packages that nothing is new.

The protocol: https://packagist.org/apidoc#track-package-updates.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self

from watcher import document
from watcher.document import expect
from watcher.errors import IndexLied
from watcher.http import Response
from watcher.lookup import Lookup, Outcome

_KEPT = timedelta(hours=23)
"""How long a cursor is good. The feed goes back 24 hours, and answers an older one by asking for everything again."""
BRANCHES = "~dev"
_EVERYTHING = "resync"
_MOST_ACTIONS = 300_000


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a feed has been read: `cursor` is its own, `url` its address. It stands in a lookup's `etag`.

    `alone` says that the feed tells everything: there is nothing to be asked besides.
    """

    cursor: int
    url: str
    alone: bool = True

    def __str__(self) -> str:
        return f"{self.cursor} {self.url}{'' if self.alone else ' +'}"

    @classmethod
    def of(cls, lookup: Lookup, now: datetime) -> Self | None:
        """The mark of a lookup, if it is not too old to go on from."""
        words = lookup.etag.split(" ")
        if lookup.answered_at is None or now - lookup.answered_at > _KEPT or not words[0].isdecimal():
            return None
        return cls(int(words[0][:20]), words[1], len(words) == 2) if len(words) in (2, 3) else None


@dataclass(frozen=True, slots=True)
class News:
    """What a feed has said. `changed` is the time (Unix) of the last change by package; None: it cannot tell."""

    mark: Mark
    since: Mapping[str, Mark] = field(default_factory=dict)
    changed: Mapping[str, float] | None = None

    def is_quiet_about(self, package: str) -> bool:
        """Whether nothing has changed since the package was looked up."""
        return self.changed is not None and package in self.since and package not in self.changed

    def changed_at(self, package: str) -> float:
        """When the package changed last (Unix), or 0."""
        return (self.changed or {}).get(package, 0.0)


def marks(known: Sequence[Lookup], now: datetime) -> dict[str, Mark]:
    """The marks from which one request can go on, by package: they are of one feed."""
    found = {lookup.package: mark for lookup in known if (mark := Mark.of(lookup, now))}
    newest = max(found.values(), key=lambda mark: mark.cursor, default=None)
    return {package: mark for package, mark in found.items() if newest and mark.url == newest.url}


def quiet(lookup: Lookup, mark: Mark) -> Lookup:
    """The lookup of a package that has not changed. After an outage it is as it was before."""
    outcome = lookup.outcome
    if outcome is Outcome.UNKNOWN:
        outcome = Outcome.ANSWER if lookup.last_modified or lookup.releases else Outcome.ABSENT
    return replace(lookup, outcome=outcome, etag=str(mark))


def read_feed(response: Response, since: Mapping[str, Mark], mark: Mark, *, branches: Collection[str]) -> News:
    """What the feed answers to a cursor, or to none: then it only says where it stands. An `IndexLied` for what is
    no answer. What becomes of branches counts for the packages `branches` only."""
    url = response.url
    if response.status not in (200, 400):
        raise IndexLied(url, "status", "200, or 400 without a cursor", str(response.status))
    data = expect(document.read(response.body, url), dict, url, "body", "an object")
    cursor = data.get("timestamp")
    if type(cursor) is not int or not 0 < cursor < 10**19:
        raise IndexLied(url, "timestamp", "a number", document.shown(cursor))
    after = Mark(cursor, mark.url, mark.alone)
    if response.status == 400:
        return News(after)
    changed: dict[str, float] = {}
    rows = expect(data.get("actions"), list, url, "actions", "a list")
    if len(rows) > _MOST_ACTIONS:
        return News(after)
    for number, row in enumerate(rows):
        action = expect(row, dict, url, f"actions[{number}]", "an object")
        name, at = action.get("package"), action.get("time", 0)
        if action.get("type") == _EVERYTHING:
            return News(after)
        if isinstance(name, str) and type(at) in (int, float):
            base = name.lower().removesuffix(BRANCHES)
            if base == name.lower() or base in branches:
                changed[base] = max(changed.get(base, 0.0), float(at))
    return News(after, since, changed)
