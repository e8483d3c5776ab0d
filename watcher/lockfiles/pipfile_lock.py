"""Pipfile.lock, as Pipenv writes it: JSON, of which each section is a set of requirements.

The format: https://pipenv.pypa.io/en/stable/pipfile.html; version 6 of its specification.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from packaging.utils import canonicalize_name
from pydantic_core import from_json

from watcher.address import normal
from watcher.lockfiles.place import Place
from watcher.lockfiles.table import Table, toml
from watcher.lockfiles.wanted import Wanted, beside, constraint_of
from watcher.lockfiles.where import anywhere, in_git, in_repository
from watcher.pin import Pin
from watcher.source import Source

NAME = "Pipfile"
_ELSEWHERE = {"git": "git", "hg": "git", "svn": "git", "bzr": "git", "file": "url", "path": "path"}


class PipfileLock:
    """Pipenv's lock. Its Pipfile stands beside it, and tells what the project itself asks for."""

    ecosystem = "pypi"

    def also(self, text: str, path: str) -> tuple[str, ...]:
        """See `Format`: the manifest."""
        return (beside(path, NAME),) if path.endswith(".lock") else ()

    def pins(self, text: str, path: str, manifests: Mapping[str, str]) -> tuple[Pin, ...]:
        """See `Format`. What is in several sections in one version is one pin."""
        place = Place(path)
        try:
            data = from_json(text.removeprefix("\ufeff"), allow_inf_nan=False)
        except ValueError as error:
            raise place.wrong("JSON", str(error)) from None
        lock, manifest = Table(place.a(dict, data, "an object"), place), beside(path, NAME)
        wanted = tuple(_wanted(manifests[manifest], manifest)) if manifest in manifests else None
        meta = lock.table("_meta")
        spec, at = meta.value("pipfile-spec")
        if at.a(int, spec, "6") != 6:
            raise at.wrong("6, the format that is known here", str(spec))
        indexes = {str(row.data.get("name")): row.value("url") for row in meta.rows("sources")}
        found: dict[tuple[str, str, str], Pin] = {}
        # What everybody gets comes first: of what is in several sections, that row counts.
        for section in sorted((name for name in lock.data if name != "_meta"), key=lambda name: name != "default"):
            for name in lock.table(section).data:
                pin = _pin(name, lock.table(section).table(name), indexes, wanted)
                if pin is not None:
                    pin = replace(pin, groups=() if section == "default" else (section,))
                    found.setdefault((pin.package, pin.version, pin.marker), pin)
        return tuple(found.values())

    def sources(self, text: str, path: str, manifests: Mapping[str, str]) -> tuple[Source, ...]:
        """See `Format`: of the section `default`, which is the one that is for others than developers."""
        lock = Table(from_json(text.removeprefix("\ufeff")), Place(path)).table("default")
        rows = ((name, lock.table(name)) for name in lock.data)
        return tuple(_source(name, row, kind) for name, row in rows for kind in _ELSEWHERE if kind in row.data)


def _source(name: str, row: Table, kind: str) -> Source:
    (marker, where), value, inner = row.value("markers"), row.data[kind], row.data.get("subdirectory")
    if _ELSEWHERE[kind] == "git":
        found = in_git(row.place, value, row.data.get("ref"), inner)
    elif kind == "path":
        found = in_repository(row.place, value, row.data.get("editable"), inner)
    else:
        found = anywhere(row.place, row.place.a(str, value, "an address"))
    return Source(
        package=row.place.package(name),
        lock=row.place.path,
        marker=where.marker(marker),
        hashes=tuple(sorted(set(row.texts("hashes", Place.digest)))),
        extras=tuple(sorted(row.texts("extras", Place.package))),
        **found,
    )


def _pin(
    name: str, row: Table, indexes: Mapping[str, tuple[Any, Place]], wanted: tuple[Wanted, ...] | None
) -> Pin | None:
    version, at = row.value("version")
    if version is None:
        return None
    exact = at.a(str, version, "one exact version (==1.0)")
    if not exact.startswith("=="):
        raise at.wrong("one exact version (==1.0)", exact)
    package, (marker, where) = row.place.package(name), row.value("markers")
    condition = where.marker(marker)
    url, place = indexes.get(str(row.data.get("index", "")), (None, at))
    return Pin(
        ecosystem="pypi",
        package=package,
        version=at.version(exact.lstrip("= ")),
        lock=row.place.path,
        direct=wanted is None or any(one.package == package for one in wanted),
        constraint=constraint_of(package, condition, wanted or ()),
        marker=condition,
        source=next((source for key, source in _ELSEWHERE.items() if key in row.data), "index"),
        registry=normal(place.a(str, url, "an address")) if url is not None else "",
        hashes=tuple(sorted(set(row.texts("hashes", Place.digest)))),
        extras=tuple(sorted(row.texts("extras", Place.package))),
    )


def _wanted(text: str, path: str) -> Iterator[Wanted]:
    for section, rows in toml(text, path).items():
        if section in ("source", "requires", "scripts", "pipenv") or not isinstance(rows, dict):
            continue
        for name, value in rows.items():
            version = value.get("version", "*") if isinstance(value, dict) else value
            yield Wanted(canonicalize_name(name), "" if version == "*" or not isinstance(version, str) else version)
