"""Polling one index, or one source of advisories: what it says of every package that an app pins, kept as it comes."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import TypeVar

from watcher import feed
from watcher.advisories import SOURCES, Source
from watcher.errors import Overtaken
from watcher.head import Head
from watcher.http import Http
from watcher.indexes import Index
from watcher.ledger import Ledger
from watcher.lookup import Bulletin, Glance, IndexState, Lookup, Outcome, Word
from watcher.order import Order
from watcher.patience import Patience, due, on_terms, terms
from watcher.pin import Pin
from watcher.program import program
from watcher.route import answer
from watcher.settings import Settings
from watcher.turn import Turn
from watcher.watchlist import Watchlist

L = TypeVar("L", Lookup, Bulletin)
_AT_ONCE = 250
"""News that is written together: a process that dies half-way has asked for no more in vain. What is as it was can wait
for the last of it, and is one write for a thousand packages."""
_BOOKKEEPING = frozenset(
    ("looked_at", "answered_at", "changed_at", "etag", "last_modified", "digest", "files", "feed", "program")
) | {"newest_at", "spared_until", "reason", "attempts", "due_at", "throttled", "revision"}


def poll_index(
    state: IndexState, settings: Settings, ledger: Ledger, index: Index, http: Http, turn: Turn
) -> IndexState:
    """Asks the index about every package whose turn it is there; the index's state after it.

    Nobody waits for what `Patience` spares it, unless a person has asked.
    """
    heads = ledger.kept(Head, "app", settings.apps)
    watched = Watchlist.read(settings, ledger, heads)
    wanted = watched.packages(state.index)
    said = None
    if told := feed.told(state, ledger):
        names = {one.package for one in told}
        if names >= wanted:
            said = index.unchanged(lambda: [one for one in told if one.package in wanted], http, turn.now, watched.pins)
            if said is not None and said.packages == names:
                return feed.quiet(state, said, turn.now)
        feed.hand_down(state, names - (said.packages if said else set()), ledger)
    state = on_terms(state, terms(settings) if index.is_only_about_releases else "", ledger)
    asked, seen = due(state, wanted, settings, ledger, turn)
    patience = Patience.read(settings, heads if state.spared_by else (), set(asked))
    settled = {name for name in asked if name in seen and _is_settled(seen[name])}
    said = said or index.unchanged(lambda: feed.traces(state, settled, ledger), http, turn.now, watched.pins)
    if said is not None:
        feed.write_down(state, said, turn.now, ledger)
        seen |= {name: seen[name]._replace(looked_at=turn.now, answered_at=turn.now) for name in said.packages}
        asked = [name for name in asked if name not in said.packages]
    known = {one.package: one for one in _whole([name for name in asked if name in seen], state.index, ledger)}

    def look_up(some: Sequence[Lookup]) -> Iterator[Lookup]:
        again = [lookup.for_program(program()) for lookup in some]
        for one in index.look_up(again, http, turn.now, watched.pins, said):
            after = dated(known.get(one.package), one, turn.now)
            yield replace(after, spared_until=patience.until(after, turn.now))

    fresh = [known.get(package) or Lookup(index=state.index, package=package) for package in asked]
    found = _kept({one.name: one for one in known.values()}, look_up(fresh), ledger, turn.now)
    mine = set(asked)
    others = [one for name, one in seen.items() if name not in mine]
    polled = _after(state, [*found, *others], len(wanted), turn.now)
    return feed.after(polled, said, found, turn.now)


def _is_settled(seen: Glance) -> bool:
    """Whether the last lookup went well, and by a program that read the answers as this one does."""
    return seen.outcome is not Outcome.UNKNOWN and not seen.reason and seen.program == program()


def _whole(names: Sequence[str], index: str, ledger: Ledger) -> Iterator[Lookup]:
    """These lookups as a whole: of a thousand, a round asks about a few, and reads no more."""
    for start in range(0, len(names), _AT_ONCE):
        yield from ledger.all(Lookup, index=index, package=names[start : start + _AT_ONCE])


def poll_source(
    state: IndexState, settings: Settings, ledger: Ledger, source: Source, http: Http, turn: Turn
) -> IndexState:
    """Asks the source of advisories about every package that it may know the name of; its state after it."""
    subjects = Watchlist.read(settings, ledger).subjects()
    known = {(one.ecosystem, one.package): one for one in ledger.all(Bulletin, source=state.index)}
    wanted = [
        known.get(subject) or Bulletin(source=state.index, ecosystem=subject[0], package=subject[1])
        for subject in sorted(subjects)
    ]
    asked = [one for one in wanted if turn.has(one.looked_at, one.due_at, one.throttled)]
    before = {one.name: one for one in asked if one.looked_at is not None}
    found = _kept(before, source.look_up(asked, http, turn.now), ledger, turn.now)
    mine = {one.name for one in asked}
    others = [one for one in wanted if one.name not in mine]
    return _after(state, [*found, *others], len(wanted), turn.now)


def ask(
    pins: Iterable[Pin],
    settings: Settings,
    ledger: Ledger,
    http: Http,
    clock: Callable[[], datetime],
    index_of: Callable[[str], Index],
) -> None:
    """Looks up those of the pins that the ledger knows nothing of, or not in this version or with these files, or that
    are asked about less often than in every round, and asks what is known against them.

    `index_of` opens an index by its name. Raises `Overtaken` if an index is being polled right now.
    """
    pins = list(pins)
    watched = [*Watchlist.read(settings, ledger).pins, *pins]
    for _ in range(len(settings.indexes) + 1):
        asked: dict[str, dict[str, Lookup]] = {}
        for pin in pins:
            lookup = answer(pin, settings.indexes, lambda index, package: _find(ledger, index, package))
            if lookup.index and _is_news(pin, lookup, clock()):
                bare = Lookup(index=lookup.index, package=pin.package)
                asked.setdefault(lookup.index, {})[pin.package] = _find(ledger, lookup.index, pin.package) or bare
        if not asked:
            break
        for name, known in asked.items():
            index = index_of(name)
            with _alone(name, ledger, clock) as now:
                before = {one.name: one for one in known.values() if one.looked_at}
                again = [one.for_program(program()) for one in known.values()]
                found = (dated(before.get(one.name), one, now) for one in index.look_up(again, http, now, watched))
                _kept(before, (replace(one, spared_until=None) for one in found), ledger, now)
    subjects = Watchlist.of(pins, settings, ledger).subjects()
    for name, source in settings.advisories.items():
        heard = {tuple(row) for row in ledger.rows(Bulletin, "ecosystem", "package", source=name)}
        fresh = [Bulletin(source=name, ecosystem=one[0], package=one[1]) for one in sorted(subjects - heard)]
        if fresh:
            with _alone(name, ledger, clock) as now:
                _kept({}, SOURCES[source.kind](source).look_up(fresh, http, now), ledger, now)


_NEWS_FOR = timedelta(minutes=1)
"""How long an answer without a certain version, or a certain file of it, is not asked for again."""


def _is_news(pin: Pin, lookup: Lookup, now: datetime) -> bool:
    if lookup.looked_at is None:
        return True
    if lookup.outcome is Outcome.ABSENT or now - lookup.looked_at < _NEWS_FOR:
        return False
    if lookup.spared_until is not None:
        # What was good for waiting is not good for coming in: the release may have been taken back meanwhile.
        return True
    mine = next((release for release in lookup.releases if release.version == pin.version), None)
    return mine is None or bool(mine.foreign(pin.hashes))


def _find(ledger: Ledger, index: str, package: str) -> Lookup | None:
    return ledger.find(Lookup, index=index, package=package)


@contextlib.contextmanager
def _alone(name: str, ledger: Ledger, clock: Callable[[], datetime]) -> Iterator[datetime]:
    """Nobody else polls this index meanwhile: its answers would be written over ours."""
    with ledger.lease(f"{Order.POLL}:{name}", clock) as mine:
        if not mine:
            raise Overtaken(name)
        yield clock()


def dated(before: Lookup | None, after: Lookup, now: datetime) -> Lookup:
    """The lookup, in which files of unknown age have the time at which we first saw them."""
    if before is not None and after.releases is before.releases:
        return after
    told = [file.uploaded_at for release in after.releases for file in release.files]
    if all(told):
        return replace(after, newest_at=max(filter(None, told), default=None))
    old = before.releases if before is not None else ()
    seen = {file.filename: file.seen_at or now for release in old for file in release.files}
    return replace(
        after,
        newest_at=None,
        releases=tuple(
            replace(
                release,
                files=tuple(
                    file if file.uploaded_at else replace(file, seen_at=seen.get(file.filename, now))
                    for file in release.files
                ),
            )
            for release in after.releases
        ),
    )


def _kept(known: dict[str, L], answers: Iterable[L], ledger: Ledger, now: datetime) -> list[L]:
    """The answers, written some at a time."""
    kept: list[L] = []
    waiting: list[tuple[L | None, L]] = []
    news = 0
    for one in answers:
        before = known.get(one.name)
        changed = before is None or _differs(before, one)
        waiting.append((before, replace(one, changed_at=now) if changed else one))
        news += changed
        if news == _AT_ONCE:
            kept += ledger.write(waiting, now)
            waiting, news = [], 0
    return kept + ledger.write(waiting, now)


def _differs(before: L, after: L) -> bool:
    """Whether it says something else, and not only at another time."""
    pairs = ((getattr(before, name), getattr(after, name)) for name in _SAID[type(after)])
    return any(old is not new and old != new for old, new in pairs)


_SAID = {
    kind: tuple(field.name for field in fields(kind) if field.name not in _BOOKKEEPING) for kind in (Lookup, Bulletin)
}


def _after(state: IndexState, found: Sequence[Word | Glance], packages: int, now: datetime) -> IndexState:
    """The index's state: polled, and unreachable if it has answered for nobody. Of its `packages`, those that are not
    `found` are as they were."""
    unknown = [one for one in found if one.outcome is Outcome.UNKNOWN]
    # Of all of them, and not only of those that changed now: a poll before this one may have died before it said so.
    changed = max(filter(None, (state.changed_at, *(one.changed_at for one in found))), default=None)
    answered = max(filter(None, (state.answered_at, *(one.answered_at for one in found))), default=None)
    polled = replace(
        state,
        polled_at=now,
        answered_at=answered,
        changed_at=changed,
        packages=packages,
        unknown=len(unknown),
    )
    if not unknown:
        return replace(polled, attempts=0, due_at=None, reason="", unknown_since=None)
    first = min(((one.due_at, one.throttled) for one in unknown if one.due_at), default=(None, False))
    return replace(
        polled,
        attempts=state.attempts + 1,
        due_at=first[0],
        throttled=first[1],
        reason=unknown[0].reason,
        unknown_since=state.unknown_since or now,
    )
