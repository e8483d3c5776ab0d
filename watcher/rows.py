"""Rows of entries: how they are asked for, and how they are written over exactly the revision that was read."""

from dataclasses import fields, replace
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, Table, Update, bindparam, insert, select, update

from watcher.entry import Entry
from watcher.errors import Overtaken
from watcher.tables import SHELVES

E = TypeVar("E", bound=Entry)


SOME: Any = object()
"""In a question for entries: whatever the field has, but not None."""


@lru_cache(maxsize=256)
def query(
    table: Table, names: tuple[str, ...], several: frozenset[str], some: frozenset[str], order: str, limit: int | None
) -> Select[Any]:
    """The entries whose fields `names` are as given; those in `several` one of the given, those in `some` not None.
    A step asks some ten times, and putting the question into words took longer than the answer."""
    query = select(table).where(*(table.c[name].is_not(None) for name in sorted(some)))
    for name in names:
        column, given = table.c[name], bindparam(name, expanding=name in several, type_=table.c[name].type)
        query = query.where(column.in_(given) if name in several else column == given)
    if order:
        column = table.c[order.removeprefix("-")]
        query = query.order_by(column.desc() if order.startswith("-") else column)
    return query if limit is None else query.limit(limit)


@lru_cache(maxsize=256)
def _update(table: Table, changed: tuple[str, ...]) -> Update:
    """Writes fields of an entry over exactly what was read."""
    keys = (*(column.name for column in table.primary_key), "revision")
    same = [table.c[name] == bindparam(f"{_WAS}{name}") for name in keys]
    return update(table).where(*same).values({name: bindparam(name) for name in changed})


class Updates:
    """Writes entries, those in one statement that are new, or that change in the same fields: a thousand lookups that
    found nothing new are one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._key: tuple[type[Entry], tuple[str, ...]] | None = None
        self._rows: list[dict[str, Any]] = []
        self._names: list[str] = []

    def put(self, before: E | None, after: E) -> E:
        """The entry as it will be written."""
        if before is None:
            self._add((type(after), ()), _row(after), after.name)
            return after
        after = replace(after, revision=before.revision + 1)
        # Only what is another value is written: the releases of a package that has not changed are not packed again.
        kind = type(after)
        changed = {
            name: value for name in _FIELDS[kind] if (value := getattr(after, name)) is not getattr(before, name)
        }
        same = {f"{_WAS}{name}": getattr(before, name) for name in (*_KEYS[kind], "revision")}
        self._add((kind, tuple(changed)), changed | same, after.name)
        return after

    def _add(self, key: tuple[type[Entry], tuple[str, ...]], row: dict[str, Any], name: str) -> None:
        if key != self._key:
            self.run()
            self._key = key
        self._rows.append(row)
        self._names.append(name)

    def run(self) -> None:
        """Writes what waits. `Overtaken` if one of the entries is no longer as it was."""
        if self._key is None or not self._rows:
            return
        (kind, changed), rows, names = self._key, self._rows, self._names
        self._rows, self._names = [], []
        if not changed:
            self._connection.execute(insert(SHELVES[kind]), rows)
            return
        if self._connection.execute(_update(SHELVES[kind], changed), rows).rowcount != len(rows):
            raise Overtaken(names[0] if len(names) == 1 else f"one of {len(names)} entries")


_WAS = "was_"


_KEYS = {kind: tuple(column.name for column in table.primary_key) for kind, table in SHELVES.items()}
_FIELDS = {kind: tuple(field.name for field in fields(kind)) for kind in SHELVES}


def _row(entry: Entry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in _FIELDS[type(entry)]}
