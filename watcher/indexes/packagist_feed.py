"""The feed of changes of a Composer repository: one request tells of a thousand packages that nothing is new.

The protocol: https://packagist.org/apidoc#track-package-updates.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from watcher import document
from watcher.document import expect
from watcher.errors import IndexLied
from watcher.http import Response
from watcher.lookup import Lookup, Mark, Outcome, Trace

_KEPT = timedelta(hours=23)
"""How long a cursor is good. The feed goes back 24 hours, and answers an older one by asking for everything again."""
_EVERYTHING = "resync"
_GONE = "delete"
_MOST_ACTIONS = 300_000
_TIMES = range(10**13, 10**14)
"""Cursors that are times: Packagist counts ten thousandths of seconds, and this is from 2001 to 2286."""
_LAG = 10 * 60 * 10_000
_END_OF_TIME = 1 << 40
"""Of Unix time, as far as anybody needs it."""


@dataclass(frozen=True, slots=True)
class News:
    """What a feed has said. `changed` is when a file has changed last (Unix; 0 if it is gone), by the package's name
    and what the file's own ends in; None: it cannot tell. `since` are the packages that this is told for."""

    mark: Mark
    since: Collection[str] = field(default=frozenset())
    changed: Mapping[str, float] | None = None

    def is_quiet_about(self, package: str, suffixes: Iterable[str]) -> bool:
        """Whether nothing has changed since the package was looked up."""
        if self.changed is None or package not in self.since:
            return False
        return not any(f"{package}{suffix}" in self.changed for suffix in suffixes)

    def changed_at(self, file: str) -> float:
        """When a file has changed last (Unix), or 0."""
        return (self.changed or {}).get(file, 0.0)


def marks(known: Sequence[Lookup | Trace], now: datetime) -> dict[str, Mark]:
    """The marks from which one request can go on, by package: they are of one feed, and none is too old."""
    found = {one.package: one.feed for one in known if one.feed and one.answered_at and now - one.answered_at <= _KEPT}
    newest = max(found.values(), key=lambda mark: mark.cursor, default=None)
    return {package: mark for package, mark in found.items() if newest and mark.url == newest.url}


def quiet(lookup: Lookup, mark: Mark, now: datetime) -> Lookup:
    """The lookup after a feed that tells nothing of its package. After an outage it is as it was before."""
    outcome = lookup.outcome
    if outcome is Outcome.UNKNOWN:
        outcome = Outcome.ANSWER if lookup.releases or any(lookup.files.values()) else Outcome.ABSENT
    return lookup.answered(now, outcome=outcome, feed=mark)


def read_feed(response: Response, since: Collection[str], mark: Mark) -> News:
    """What the feed answers to a cursor, or to none: then it only says where it stands. An `IndexLied` for what is
    no answer."""
    url = response.url
    if response.status not in (200, 400):
        raise IndexLied(url, "status", "200, or 400 without a cursor", str(response.status))
    data = expect(document.read(response.body, url), dict, url, "body", "an object")
    cursor = data.get("timestamp")
    if type(cursor) is not int or not 0 < cursor < 10**19:
        raise IndexLied(url, "timestamp", "a number", document.shown(cursor))
    after = replace(mark, cursor=cursor)
    if response.status == 400:
        return _untold(after)
    changed: dict[str, float] = {}
    rows = expect(data.get("actions"), list, url, "actions", "a list")
    if len(rows) > _MOST_ACTIONS:
        return _untold(after)
    for number, row in enumerate(rows):
        action = expect(row, dict, url, f"actions[{number}]", "an object")
        if action.get("type") == _EVERYTHING:
            return _untold(after)
        if isinstance(name := action.get("package"), str):
            at = _time(action.get("time", 0), url, f"actions[{number}].time")
            changed[name.lower()] = 0.0 if action.get("type") == _GONE else max(changed.get(name.lower(), 0.0), at)
    return News(after, since, changed)


def _untold(mark: Mark) -> News:
    """The news of a feed that does not say what has changed, so that everything is asked for.

    Where the servers of the files are behind, nobody can see it now. So the next look goes on from a little earlier:
    what was changed just now is asked for once more, and then it can be seen.
    """
    return News(replace(mark, cursor=mark.cursor - _LAG) if mark.cursor in _TIMES else mark)


def _time(value: object, url: str, where: str) -> float:
    # A number in JSON may have hundreds of digits, and 1e999 is one, too.
    if type(value) in (int, float) and 0 <= value < _END_OF_TIME:  # type: ignore[operator]
        return float(value)  # type: ignore[arg-type]
    raise IndexLied(url, where, "a time in seconds", document.shown(value))
