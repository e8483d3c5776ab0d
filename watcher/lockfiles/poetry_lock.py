"""poetry.lock, as Poetry 1 and 2 write it. The format has no specification but Poetry (`poetry/packages/locker.py`)."""

from collections.abc import Iterable, Mapping
from typing import Any

from watcher.address import normal
from watcher.lockfiles.place import Place
from watcher.lockfiles.pyproject import NAME, project_of, wanted_of
from watcher.lockfiles.table import Table, groups_of, toml
from watcher.lockfiles.wanted import Wanted, beside, constraint_of
from watcher.lockfiles.where import commit_mark, in_git, in_repository, on_web
from watcher.pin import Pin
from watcher.source import Source

_SOURCES = {"legacy": "index", "git": "git", "url": "url", "file": "path", "directory": "path"}


class PoetryLock:
    """Poetry's lock. Its pyproject.toml stands beside it, and tells what the project itself asks for."""

    ecosystem = "pypi"

    def also(self, text: str, path: str) -> tuple[str, ...]:
        """See `Format`: the manifest."""
        return (beside(path, NAME),) if path.endswith(".lock") else ()

    def pins(self, text: str, path: str, manifests: Mapping[str, str]) -> tuple[Pin, ...]:
        """See `Format`. Without its manifest, everything counts as asked for."""
        lock, wanted = Table(toml(text, path), Place(path)), wanted_of(manifests, path)
        version, place = lock.table("metadata").value("lock-version")
        if place.a(str, version, "1.1, 2.0 or 2.1").partition(".")[0] not in ("1", "2"):
            raise place.wrong("1.1, 2.0 or 2.1, the formats that are known here", version)
        apart = lock.table("metadata").table("files")
        return tuple(_pin(row, apart, wanted) for row in lock.rows("package"))

    def sources(self, text: str, path: str, manifests: Mapping[str, str]) -> tuple[Source, ...]:
        """See `Format`. The project itself is not in its lock, and is installed all the same."""
        lock = Table(toml(text, path), Place(path))
        apart = lock.table("metadata").table("files")
        others = (_source(row, apart) for row in lock.rows("package") if _kind(row) != "index")
        return (*project_of(manifests, path), *others)


def _pin(row: Table, apart: Table, wanted: Iterable[Wanted] | None) -> Pin:
    name, (version, at) = row.package(), row.value("version")
    kind = _kind(row)
    url, where = row.table("source").value("url")
    marker = _marker(row)
    return Pin(
        ecosystem="pypi",
        package=name,
        version=at.version(version),
        lock=row.place.path,
        direct=wanted is None or any(one.asks and one.package == name for one in wanted),
        constraint=constraint_of(name, marker, wanted or ()),
        marker=marker,
        source=kind,
        registry=normal(where.a(str, url, "an address")) if kind == "index" and url is not None else "",
        hashes=commit_mark(row.table("source").data.get("resolved_reference")) or _hashes(row, apart),
        groups=groups_of(row, "main"),
    )


def _kind(row: Table) -> str:
    kind, place = row.table("source").value("type")
    return "index" if kind is None else _SOURCES.get(place.a(str, kind, "a source"), "url")


def _hashes(row: Table, apart: Table) -> tuple[str, ...]:
    files = [*row.rows("files"), *apart.rows(str(row.data["name"]))]
    hashes = [file.value("hash") for file in files]
    return tuple(sorted({place.digest(value) for value, place in hashes}))


def _source(row: Table, apart: Table) -> Source:
    (version, at), source = row.value("version"), row.table("source")
    place, url, inner = source.place, source.data.get("url"), source.data.get("subdirectory")
    where: dict[str, Any] = {
        "git": lambda: in_git(place, url, source.data.get("resolved_reference"), inner),
        "url": lambda: on_web(place, url, inner),
        "path": lambda: in_repository(place, url, row.data.get("develop")),
    }[_kind(row)]()
    return Source(
        package=row.package(),
        lock=row.place.path,
        version=at.version(version),
        marker=_marker(row),
        hashes=_hashes(row, apart),
        groups=groups_of(row, "main"),
        **where,
    )


def _marker(row: Table) -> str:
    """From format 2.1 on the lock knows where a package is installed: by group, if that is not the same for all."""
    value, place = row.value("markers")
    if not isinstance(value, dict):
        return place.marker(value)
    markers = {name: place.at(name).marker(text) for name, text in value.items()}
    groups, _ = row.value("groups")
    if len(markers) < len(groups or ()) or "" in markers.values():
        return ""
    return markers.get("main") or " or ".join(f"({marker})" for marker in sorted(set(markers.values())))
