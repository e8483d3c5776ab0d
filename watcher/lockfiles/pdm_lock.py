"""pdm.lock, as PDM 2 writes it (lock version 4). The format has no specification but PDM (`pdm/project/lockfile`)."""

from collections.abc import Mapping

from watcher.lockfiles.place import Place
from watcher.lockfiles.pyproject import NAME, project_of, wanted_of
from watcher.lockfiles.table import Table, groups_of, toml
from watcher.lockfiles.wanted import Wanted, beside, constraint_of
from watcher.lockfiles.where import commit_mark, in_git, in_repository, on_web
from watcher.pin import Pin
from watcher.source import Source

_ELSEWHERE = {"git": "git", "hg": "git", "svn": "git", "url": "url", "path": "path"}


class PdmLock:
    """PDM's lock. Its pyproject.toml stands beside it, and tells what the project itself asks for."""

    ecosystem = "pypi"

    def also(self, text: str, path: str) -> tuple[str, ...]:
        """See `Format`: the manifest."""
        return (beside(path, NAME),) if path.endswith(".lock") else ()

    def pins(self, text: str, path: str, manifests: Mapping[str, str]) -> tuple[Pin, ...]:
        """See `Format`. A package with an extra is a row of its own to PDM, and the same pin to us."""
        lock, wanted = Table(toml(text, path), Place(path)), wanted_of(manifests, path)
        version, place = lock.table("metadata").value("lock_version")
        if place.a(str, version, "4.5 or the like").partition(".")[0] != "4":
            raise place.wrong("4.5 or the like, the format that is known here", version)
        found: dict[tuple[str, str, str], Pin] = {}
        for row in lock.rows("package"):
            if "version" in row.data:
                pin = _pin(row, wanted)
                found.setdefault((pin.package, pin.version, pin.marker), pin)
        return tuple(found.values())

    def sources(self, text: str, path: str, manifests: Mapping[str, str]) -> tuple[Source, ...]:
        """See `Format`. The project itself is not in its lock, and is installed all the same."""
        lock = Table(toml(text, path), Place(path))
        others = (_source(row, kind) for row in lock.rows("package") for kind in _ELSEWHERE if kind in row.data)
        return (*project_of(manifests, path), *others)


def _source(row: Table, kind: str) -> Source:
    (version, at), (marker, where) = row.value("version"), row.value("marker")
    hashes = [file.value("hash") for file in row.rows("files")]
    value, inner = row.data[kind], row.data.get("subdirectory")
    if _ELSEWHERE[kind] == "git":
        found = in_git(row.place, value, row.data.get("revision"), inner)
    elif kind == "url":
        found = on_web(row.place, value, inner)
    else:
        found = in_repository(row.place, value, row.data.get("editable"), inner)
    return Source(
        package=row.package(),
        lock=row.place.path,
        version=at.version(version) if version is not None else "",
        marker=where.marker(marker),
        hashes=tuple(sorted({place.digest(value) for value, place in hashes})),
        groups=groups_of(row, "default"),
        **found,
    )


def _pin(row: Table, wanted: tuple[Wanted, ...] | None) -> Pin:
    name, (version, at), (marker, where) = row.package(), row.value("version"), row.value("marker")
    hashes = [file.value("hash") for file in row.rows("files")]
    condition = where.marker(marker)
    extras, _ = row.value("extras")
    return Pin(
        ecosystem="pypi",
        package=name,
        version=at.version(version),
        lock=row.place.path,
        direct=wanted is None or any(one.asks and one.package == name for one in wanted),
        constraint=constraint_of(name, condition, wanted or ()),
        marker=condition,
        source=next((source for key, source in _ELSEWHERE.items() if key in row.data), "index"),
        hashes=commit_mark(row.data.get("revision")) or tuple(sorted({at.digest(value) for value, at in hashes})),
        groups=groups_of(row, "default"),
        extras=tuple(sorted(row.texts("extras", Place.package))) if extras else (),
    )
