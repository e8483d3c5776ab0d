"""The tables of a lock in TOML or JSON, and the readers of what stands in them."""

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

from watcher.lockfiles.place import Place


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a lock and where it stands. Its readers raise `LockfileUnreadable`."""

    data: dict[str, Any]
    place: Place

    def value(self, key: str) -> tuple[Any, Place]:
        return self.data.get(key), self.place.at(key)

    def rows(self, key: str) -> Iterator[Self]:
        """The tables of the list at `key`, if it is there."""
        value, place = self.value(key)
        for number, row in enumerate(place.a(list, value or [], "a list of tables")):
            at = Place(place.path, f"{place.where}[{number}]")
            yield type(self)(at.a(dict, row, "a table"), at)

    def table(self, key: str) -> Self:
        """The table at `key`, or an empty one."""
        value, place = self.value(key)
        return type(self)(place.a(dict, value or {}, "a table"), place)

    def groups(self, key: str) -> Iterator[Self]:
        """The tables of all lists in the table at `key`."""
        table = self.table(key)
        for name in table.data:
            yield from table.rows(name)

    def texts(self, key: str, reader: Callable[[Place, object], str]) -> tuple[str, ...]:
        """The texts of the list at `key`, if it is there, as `reader` reads them."""
        value, place = self.value(key)
        return tuple(reader(place, text) for text in place.a(list, value or [], "a list of texts"))

    def package(self) -> str:
        value, place = self.value("name")
        return place.package(value)


def groups_of(row: Table, always: str) -> tuple[str, ...]:
    """The groups of a package as its row has them; none if one of them is the group that is always installed."""
    found = row.texts("groups", lambda place, text: place.a(str, text, "the name of a group"))
    return () if always in found else tuple(sorted(found))


def toml(text: str, path: str) -> dict[str, Any]:
    """A file of TOML; a `LockfileUnreadable` if it is none."""
    place = Place(path)
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        raise place.wrong("TOML", str(error)) from None
    except (ValueError, RecursionError):
        raise place.wrong("TOML", "numbers or tables beyond all measure") from None
