"""pylock.toml, Python's own format of lock: https://packaging.python.org/specifications/pylock-toml/ (PEP 751)."""

import posixpath
from collections.abc import Iterable, Iterator, Mapping

from watcher.address import normal
from watcher.lockfiles.compiled import header
from watcher.lockfiles.place import Place
from watcher.lockfiles.table import Table, toml
from watcher.lockfiles.wanted import Wanted, constraint_of, included, wanted_in
from watcher.lockfiles.where import commit_mark, in_git, in_repository, on_web
from watcher.pin import Pin
from watcher.source import Source

_ELSEWHERE = {"vcs": "git", "archive": "url", "directory": "path"}


class Pylock:
    """A lock that says nothing of who asked for what: where uv made it, its header names the files that do."""

    ecosystem = "pypi"

    def also(self, text: str, path: str) -> tuple[str, ...]:
        """See `Format`: what it was compiled from; and of such a file, what it includes."""
        if posixpath.basename(path).startswith("pylock."):
            made = header(text, path)
            return (*made.inputs, *made.limits) if made else ()
        return () if path.endswith(".toml") else included(text, path)

    def pins(self, text: str, path: str, manifests: Mapping[str, str]) -> tuple[Pin, ...]:
        """See `Format`. Direct is what the inputs ask for; where there are none, everything."""
        lock = Table(toml(text, path), Place(path))
        version, place = lock.value("lock-version")
        if not place.a(str, version, "1.0").startswith("1."):
            raise place.wrong("1.0, the format that is known here", version)
        made = header(text, path)
        wanted = wanted_in(made.inputs, made.limits, manifests) if made else ()
        return tuple(_pin(row, wanted) for row in lock.rows("packages") if "version" in row.data)

    def sources(self, text: str, path: str, manifests: Mapping[str, str]) -> tuple[Source, ...]:
        """See `Format`."""
        lock = Table(toml(text, path), Place(path))
        kinds = ((row, next((key for key in _ELSEWHERE if key in row.data), "")) for row in lock.rows("packages"))
        return tuple(_source(row, kind) for row, kind in kinds if kind)


def _source(row: Table, kind: str) -> Source:
    (version, at), (marker, where), table = row.value("version"), row.value("marker"), row.table(kind)
    place, inner = table.place, table.data.get("subdirectory")
    if kind == "vcs":
        found = in_git(place, table.data.get("url", table.data.get("path")), table.data.get("commit-id"), inner)
    elif "url" in table.data:
        found = on_web(place, table.data["url"], inner)
    else:
        found = in_repository(place, table.data.get("path"), table.data.get("editable"), inner)
    return Source(
        package=row.package(),
        lock=row.place.path,
        version=at.version(version) if version is not None else "",
        marker=where.marker(marker),
        hashes=tuple(sorted(set(_hashes_of(table)))),
        **found,
    )


def _pin(row: Table, wanted: Iterable[Wanted]) -> Pin:
    name, (version, at), (marker, where) = row.package(), row.value("version"), row.value("marker")
    index, place = row.value("index")
    condition = where.marker(marker)
    asked = {one.package for one in wanted if one.asks}
    return Pin(
        ecosystem="pypi",
        package=name,
        version=at.version(version),
        lock=row.place.path,
        direct=not asked or name in asked,
        constraint=constraint_of(name, condition, wanted),
        marker=condition,
        source=next((source for key, source in _ELSEWHERE.items() if key in row.data), "index"),
        registry=normal(place.a(str, index, "an address")) if index is not None else "",
        hashes=commit_mark(row.table("vcs").data.get("commit-id")) or tuple(sorted(set(_hashes(row)))),
    )


def _hashes(row: Table) -> Iterator[str]:
    for file in [*(row.table(key) for key in ("sdist", "archive") if key in row.data), *row.rows("wheels")]:
        yield from _hashes_of(file)


def _hashes_of(file: Table) -> Iterator[str]:
    hashes = file.table("hashes")
    name = next((name for name in ("sha256", "sha384", "sha512") if name in hashes.data), "")
    if name:
        value, place = hashes.value(name)
        yield place.digest(f"{name}:{value}")
