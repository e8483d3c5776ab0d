"""poetry.lock, as Poetry 1 and 2 write it. The format has no specification but Poetry (`poetry/packages/locker.py`)."""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from packaging.utils import canonicalize_name

from watcher.address import normal
from watcher.lockfiles.place import Place
from watcher.lockfiles.table import Table, toml
from watcher.lockfiles.wanted import Wanted, constraint_of, wanted_in
from watcher.pin import Pin
from watcher.versions.pep440 import specifiers

_SOURCES = {"legacy": "index", "git": "git", "url": "url", "file": "path", "directory": "path"}
_PART = re.compile(r"(\^|~(?!=)|)\s*v?(\d+(?:\.\d+)*)((?:\.\*)?)((?:(?:a|b|rc|\.?post|\.?dev)\d+)*)")


class PoetryLock:
    """Poetry's lock. Its pyproject.toml stands beside it, and tells what the project itself asks for."""

    ecosystem = "pypi"

    def also(self, text: str, path: str) -> tuple[str, ...]:
        """See `Format`: the manifest."""
        return (_manifest(path),) if path.endswith(".lock") else ()

    def pins(self, text: str, path: str, manifests: Mapping[str, str]) -> tuple[Pin, ...]:
        """See `Format`. Without its manifest, everything counts as asked for."""
        lock, beside = Table(toml(text, path), Place(path)), _manifest(path)
        wanted = tuple(wanted_of(manifests[beside], beside)) if beside in manifests else None
        version, place = lock.table("metadata").value("lock-version")
        if place.a(str, version, "1.1, 2.0 or 2.1").partition(".")[0] not in ("1", "2"):
            raise place.wrong("1.1, 2.0 or 2.1, the formats that are known here", version)
        apart = lock.table("metadata").table("files")
        return tuple(_pin(row, apart, wanted) for row in lock.rows("package"))


def _manifest(path: str) -> str:
    return posixpath.join(posixpath.dirname(path), "pyproject.toml")


def _pin(row: Table, apart: Table, wanted: Iterable[Wanted] | None) -> Pin:
    name, (version, at), source = row.package(), row.value("version"), row.table("source")
    kind, place = source.value("type")
    kind = "index" if kind is None else _SOURCES.get(place.a(str, kind, "a source"), "url")
    url, where = source.value("url")
    marker = _marker(row)
    files = [*row.rows("files"), *apart.rows(str(row.data["name"]))]
    hashes = [file.value("hash") for file in files]
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
        hashes=tuple(sorted({place.digest(value) for value, place in hashes})),
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


def wanted_of(text: str, path: str) -> Iterator[Wanted]:
    """What a pyproject.toml asks for: as standards have it, and as Poetry has it."""
    yield from wanted_in([path], [], {path: text})
    poetry = _dict(_dict(toml(text, path).get("tool")).get("poetry"))
    groups = [_dict(group).get("dependencies") for group in _dict(poetry.get("group")).values()]
    for table in (poetry.get("dependencies"), poetry.get("dev-dependencies"), *groups):
        for name, value in _dict(table).items():
            for one in value if isinstance(value, list) else [value]:
                version = one.get("version", "*") if isinstance(one, dict) else one
                if name.lower() != "python" and isinstance(version, str):
                    yield Wanted(canonicalize_name(name), specifier(version))


def specifier(text: str) -> str:
    """A constraint in Poetry's spelling (`^1.2`, `~1.2`, `1.2`, `1.*`) as PEP 440 has it.

    Empty for one that has no such spelling (`^1 || ^2`): Poetry judges it itself.
    """
    parts = [part.strip() for part in text.split(",")]
    try:
        return "" if text.strip() == "*" else str(specifiers(",".join(map(_part, parts))))
    except ValueError:
        return ""


def _part(text: str) -> str:
    match = _PART.fullmatch(text)
    if match is None:
        return text
    sign, numbers, wild, _ = match.groups()
    if wild or not sign:
        return f"=={text}"
    release = [int(number) for number in numbers.split(".")]
    # Of a caret, the first number that is not zero stays; of a tilde, the second one, if there is one.
    kept = next((n for n, number in enumerate(release) if number), len(release) - 1) if sign == "^" else 1
    kept = min(kept, len(release) - 1)
    upper = [*release[:kept], release[kept] + 1]
    return f">={text.lstrip('^~ ')},<{'.'.join(map(str, upper))}"


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
