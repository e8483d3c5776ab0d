"""pdm.lock, as PDM 2 writes it (lock version 4). The format has no specification but PDM (`pdm/project/lockfile`)."""

from collections.abc import Mapping

from watcher.lockfiles.place import Place
from watcher.lockfiles.pyproject import NAME, wanted_of
from watcher.lockfiles.table import Table, toml
from watcher.lockfiles.wanted import Wanted, beside, constraint_of
from watcher.pin import Pin

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
        hashes=tuple(sorted({place.digest(value) for value, place in hashes})),
        extras=tuple(sorted(row.texts("extras", Place.package))) if extras else (),
    )
