"""Pipfile.lock, as Pipenv writes it: JSON, of which each section is a set of requirements.

The format: https://pipenv.pypa.io/en/stable/pipfile.html; version 6 of its specification.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from packaging.utils import canonicalize_name
from pydantic_core import from_json

from watcher.address import normal
from watcher.lockfiles.place import Place
from watcher.lockfiles.table import Table, toml
from watcher.lockfiles.wanted import Wanted, beside, constraint_of
from watcher.pin import Pin

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
        for section in (name for name in lock.data if name != "_meta"):
            for name in lock.table(section).data:
                pin = _pin(name, lock.table(section).table(name), indexes, wanted)
                if pin is not None:
                    found.setdefault((pin.package, pin.version, pin.marker), pin)
        return tuple(found.values())


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
