"""The ledger in memory: the same rules of writing (compare-and-set, all or nothing), without a database."""

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import fields, replace
from datetime import datetime
from typing import Any, TypeVar

from watcher.entry import Entry
from watcher.errors import Overtaken
from watcher.event import Event, told
from watcher.ledger import EVERYTHING
from watcher.rows import SOME
from watcher.standing import Weighing
from watcher.tables import SHELVES

E = TypeVar("E", bound=Entry)


class FakeLedger:
    """See `watcher.ledger.Ledger`. Leases are for one thread: they are always free."""

    def __init__(self) -> None:
        self._rows: dict[type[Entry], dict[tuple[Any, ...], Entry]] = {kind: {} for kind in SHELVES}
        self._events: list[Event] = []
        self._holds: dict[str, str] = {}
        self._weighings: dict[str, Weighing] = {}

    def at_hand(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def find(self, kind: type[E], **key: Any) -> E | None:
        known: Any = self._rows[kind].get(tuple(key.values())) if list(key) == list(_KEYS[kind]) else None
        found = (known,) if known is not None else self.all(kind, **key)
        return found[0] if found else None

    def all(self, kind: type[E], *, order: str = "", limit: int | None = None, **where: Any) -> tuple[E, ...]:
        found: list[Any] = list(self._rows[kind].values())
        for name, value in where.items():
            found = [entry for entry in found if _fits(getattr(entry, name), value)]
        if order:
            found.sort(key=lambda entry: getattr(entry, order.removeprefix("-")), reverse=order.startswith("-"))
        return tuple(found[:limit])

    def kept(self, kind: type[E], key: str, of: Collection[str]) -> tuple[E, ...]:
        wanted: dict[str, Any] = {key: list(of)}
        return self.all(kind, **wanted)

    def set(
        self, kind: type[Entry], values: Mapping[str, Any], *, field: str, of: Collection[str], **where: Any
    ) -> None:
        chosen: dict[str, Any] = {**where, field: list(of)}
        for entry in self.all(kind, **chosen):
            self._rows[kind][_key(entry)] = replace(entry, **values, revision=entry.revision + 1)

    def rows(self, kind: type[Entry], *columns: str, **where: Any) -> list[tuple[Any, ...]]:
        return [tuple(getattr(entry, column) for column in columns) for entry in self.all(kind, **where)]

    def add(self, entry: E, now: datetime) -> E | None:
        try:
            return self.write([(None, entry)], now)[0]
        except Overtaken:
            return None

    def replace(self, before: E, after: E, now: datetime) -> E:
        return self.write([(before, after)], now)[0]

    def write(self, changes: Iterable[tuple[E | None, E]], now: datetime, ordered: Event | None = None) -> list[E]:
        changes = list(changes)
        for before, after in changes:
            known = self._rows[type(after)].get(_key(after))
            if (known.revision if known else None) != (before.revision if before else None):
                raise Overtaken(after.name)
        written = []
        self._events += [ordered] if ordered else []
        for before, after in changes:
            if before is not None and before != after:
                after = replace(after, revision=before.revision + 1)
            if before != after:
                happened = told(before, after, now)
                self._events += [happened] if happened else []
            self._rows[type(after)][_key(after)] = after
            written.append(after)
        return written

    def weighings(self, apps: Collection[str]) -> dict[str, Weighing]:
        return {app: made for app, made in self._weighings.items() if app in apps}

    def weighed(self, app: str, made: Weighing) -> None:
        self._weighings[app] = made

    def answered(self, *names: str) -> bool:
        return False

    def note(self, happened: Event) -> None:
        self._events.append(happened)

    def last_event(self) -> int:
        return len(self._events)

    def hold(self, scope: str, by: str, why: str, now: datetime) -> bool:
        if scope in self._holds:
            return False
        self._holds[scope] = f"{by}: {why}" if why else by
        return True

    def unhold(self, scope: str, by: str, why: str, now: datetime) -> bool:
        return self._holds.pop(scope, None) is not None

    def holds(self) -> dict[str, str]:
        return dict(self._holds)

    def is_held(self, app: str) -> bool:
        return bool({app, EVERYTHING} & self._holds.keys())

    @contextlib.contextmanager
    def lease(self, name: str, clock: Callable[[], datetime]) -> Iterator[bool]:
        yield True

    def post(self, names: Collection[str], now: datetime) -> list[str]:
        return list(names)


def _fits(has: Any, wanted: Any) -> bool:
    if wanted is SOME:
        return has is not None
    return has in wanted if isinstance(wanted, (list, tuple, set)) else has == wanted


def _keys(kind: type[Entry]) -> dict[str, None]:
    names = {field.name for field in fields(kind)}
    return {column.name: None for column in SHELVES[kind].primary_key if column.name in names}


_KEYS = {kind: _keys(kind) for kind in SHELVES}
"""The names of the fields by which an entry is known, in order."""


def _key(entry: Entry) -> tuple[Any, ...]:
    return tuple(getattr(entry, name) for name in _KEYS[type(entry)])
