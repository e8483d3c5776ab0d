"""uv.lock, as uv writes it: TOML, with everything that was resolved for all platforms.

The format has no specification but uv (https://docs.astral.sh/uv/concepts/projects/layout/#the-lockfile): what has
version 1 is read by every uv that knows version 1, whatever its revision.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from watcher.address import normal
from watcher.lockfiles.place import Place
from watcher.lockfiles.table import Table, toml
from watcher.lockfiles.wanted import Wanted, constraint_of
from watcher.lockfiles.where import by_uv, commit_mark, in_repository, on_web
from watcher.pin import Pin
from watcher.source import Source

_OWN = ("virtual", "editable", "directory")
_SOURCES = {"registry": "index", "git": "git", "url": "url", "path": "path"}
_ADDRESS = re.compile(r"https?://[\x21-\x7e]{1,2000}")


class UvLock:
    """uv's lock. What lies in a directory is the project's own code and no pin; what that asks for is direct."""

    ecosystem = "pypi"

    def also(self, text: str, path: str) -> tuple[str, ...]:
        """See `Format`: nothing. The lock repeats what its manifests ask for."""
        return ()

    def pins(self, text: str, path: str, manifests: Mapping[str, str]) -> tuple[Pin, ...]:
        """See `Format`."""
        lock = _Table(_read(text, path), Place(path))
        packages = [(table, table.source()) for table in lock.rows("package")]
        wanted = _wanted(lock, [table for table, source in packages if source in _OWN])
        edges, groups = _every_edge(lock), _reach(lock)
        return tuple(
            replace(_pin(table, source, wanted, edges), groups=groups.get(table.package(), ()))
            for table, source in packages
            # A source tree can leave its version to its build: then it has none to move.
            if source in _SOURCES and (source == "registry" or "version" in table.data)
        )

    def sources(self, text: str, path: str, manifests: Mapping[str, str]) -> tuple[Source, ...]:
        """See `Format`. What is virtual is code, and is not installed."""
        lock = _Table(_read(text, path), Place(path))
        edges, groups = _every_edge(lock), _reach(lock)
        return tuple(
            replace(_source(table, kind, edges), groups=groups.get(table.package(), ()))
            for table in lock.rows("package")
            for kind in [table.source()]
            if kind in ("git", "url", "path", "directory", "editable")
        )


class _Table(Table):
    """A table of the lock. A package's knows where that comes from."""

    def source(self) -> str:
        """Where the package comes from: a key of _SOURCES or of _OWN."""
        value, place = self.value("source")
        kinds = [kind for kind in (*_OWN, *_SOURCES) if kind in place.a(dict, value, "a table")]
        if len(kinds) != 1:
            raise place.wrong(f"one of {', '.join((*_SOURCES, *_OWN))}", ", ".join(value))
        return kinds[0]


@dataclass(frozen=True, slots=True)
class _Edge:
    """One package needs another: under a marker, and perhaps only in one version (where the lock has several)."""

    package: str
    version: str
    marker: str
    extras: tuple[str, ...]


def _read(text: str, path: str) -> dict[str, Any]:
    data = toml(text, path)
    place = Place(path)
    if place.at("version").a(int, data.get("version"), "1") != 1:
        raise place.at("version").wrong("1, the format that is known here", str(data["version"]))
    return data


def _wanted(lock: _Table, own: Sequence[_Table]) -> tuple[Wanted, ...]:
    """What the project's own packages ask for, and what its constraints allow; an override takes the place of both."""
    manifest = lock.table("manifest")
    asked = [row for table in own for row in _metadata(table)]
    asked += [*manifest.rows("requirements"), *manifest.groups("dependency-groups")]
    overrides = {one.package: one for row in manifest.rows("overrides") for one in [_one(row, asks=False)]}
    limits = [_one(row, asks=False) for row in manifest.rows("constraints")]
    given = [_one(row, asks=True) for row in asked] + limits
    kept = [Wanted(one.package, "", "", one.asks) if one.package in overrides else one for one in given]
    return (*kept, *overrides.values())


def _metadata(table: _Table) -> Iterator[_Table]:
    metadata = table.table("metadata")
    yield from metadata.rows("requires-dist")
    yield from metadata.groups("requires-dev")


def _one(row: _Table, *, asks: bool) -> Wanted:
    constraint, place = row.value("specifier")
    marker, at = row.value("marker")
    # An extra is a choice of the installer and not of the place: `extra == 'x'` alone limits nothing.
    text = at.marker(marker)
    return Wanted(row.package(), place.constraint(constraint), "" if "extra ==" in text else text, asks)


def _every_edge(lock: _Table) -> Mapping[str, Sequence[_Edge]]:
    found: defaultdict[str, list[_Edge]] = defaultdict(list)
    for table in lock.rows("package"):
        for edge in _edges(table):
            found[edge.package].append(edge)
    return found


def _reach(lock: _Table) -> Mapping[str, tuple[str, ...]]:
    """The extras and groups of the project that each package is there for; none, if it is always installed."""
    tables: defaultdict[str, list[_Table]] = defaultdict(list)
    for table in lock.rows("package"):
        tables[table.package()].append(table)
    starts: defaultdict[str, list[tuple[str, tuple[str, ...]]]] = defaultdict(list)
    own = [table for rows in tables.values() for table in rows if table.source() in _OWN]
    for table in own:
        starts[""] += [(table.package(), ()), *_ends(table.rows("dependencies"))]
        for key in ("optional-dependencies", "dev-dependencies"):
            for name in table.table(key).data:
                starts[name] += _ends(table.table(key).rows(name))
    manifest = lock.table("manifest")
    starts[""] += _ends(manifest.rows("requirements"))
    for name in manifest.table("dependency-groups").data:
        starts[name] += _ends(manifest.table("dependency-groups").rows(name))
    reached = {name: _reached(ends, tables) for name, ends in starts.items()}
    always = reached.pop("", set())
    return {
        package: tuple(sorted(name for name, found in reached.items() if package in found))
        for package in tables
        if package not in always
    }


def _ends(rows: Iterable[_Table]) -> list[tuple[str, tuple[str, ...]]]:
    return [(row.package(), row.texts("extra", Place.package)) for row in rows]


def _reached(ends: Iterable[tuple[str, tuple[str, ...]]], tables: Mapping[str, Sequence[_Table]]) -> set[str]:
    found: set[tuple[str, str]] = set()
    waiting = [(package, extra) for package, extras in ends for extra in ("", *extras)]
    while waiting:
        package, extra = waiting.pop()
        if (package, extra) in found:
            continue
        found.add((package, extra))
        for table in tables.get(package, ()):
            more = table.table("optional-dependencies").rows(extra) if extra else table.rows("dependencies")
            waiting += [(name, one) for name, extras in _ends(more) for one in ("", *extras)]
    return {package for package, _ in found}


def _edges(table: _Table) -> Iterator[_Edge]:
    rows = (table.rows("dependencies"), table.groups("optional-dependencies"), table.groups("dev-dependencies"))
    for row in (row for some in rows for row in some):
        version, at = row.value("version")
        marker, place = row.value("marker")
        yield _Edge(
            row.package(),
            "" if version is None else at.version(version),
            place.marker(marker),
            row.texts("extra", Place.package),
        )


def _pin(table: _Table, source: str, wanted: Iterable[Wanted], edges: Mapping[str, Sequence[_Edge]]) -> Pin:
    name = table.package()
    value, place = table.value("version")
    version = place.version(value)
    mine = [edge for edge in edges.get(name, ()) if edge.version in ("", version)]
    marker = _any_of(table.texts("resolution-markers", Place.marker) or [edge.marker for edge in mine])
    # A registry can be a directory of wheels: no index.
    registry = str(table.data["source"].get("registry", ""))
    served = _ADDRESS.fullmatch(registry) is not None
    return Pin(
        ecosystem="pypi",
        package=name,
        version=version,
        lock=table.place.path,
        direct=any(one.asks and one.package == name for one in wanted),
        constraint=constraint_of(name, marker, wanted),
        marker=marker,
        source="path" if source == "registry" and not served else _SOURCES[source],
        registry=normal(registry) if served else "",
        hashes=commit_mark(table.data["source"].get("git")) or _hashes(table),
        extras=tuple(sorted({extra for edge in mine for extra in edge.extras})),
    )


def _source(table: _Table, kind: str, edges: Mapping[str, Sequence[_Edge]]) -> Source:
    name, (version, at) = table.package(), table.value("version")
    table_of, place = table.table("source"), table.place.at("source")
    value, inner = table_of.data[kind], table_of.data.get("subdirectory")
    where: dict[str, Any] = {
        "git": lambda: by_uv(place, value),
        "url": lambda: on_web(place, value, inner),
        "path": lambda: in_repository(place, value),
        "directory": lambda: in_repository(place, value),
        "editable": lambda: in_repository(place, value, True),
    }[kind]()
    mine = edges.get(name, ())
    return Source(
        package=name,
        lock=table.place.path,
        version=at.version(version) if version is not None else "",
        marker=_any_of(table.texts("resolution-markers", Place.marker) or [edge.marker for edge in mine]),
        hashes=_hashes(table),
        extras=tuple(sorted({extra for edge in mine for extra in edge.extras})),
        **where,
    )


def _hashes(table: _Table) -> tuple[str, ...]:
    files = [*([table.table("sdist")] if "sdist" in table.data else []), *table.rows("wheels")]
    values = (file.value("hash") for file in files)
    return tuple(sorted({place.digest(value) for value, place in values if value is not None}))


def _any_of(markers: Iterable[str]) -> str:
    """What holds where any of the markers does; one that is empty holds everywhere."""
    several = sorted(set(markers))
    if "" in several or not several:
        return ""
    return several[0] if len(several) == 1 else " or ".join(f"({marker})" for marker in several)
