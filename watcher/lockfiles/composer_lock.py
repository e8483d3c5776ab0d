"""composer.lock, as Composer writes it: JSON, with everything that was resolved, for one place.

The format has no specification but Composer (`src/Composer/Package/Locker.php`).
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from watcher.address import normal
from watcher.errors import LockfileUnreadable
from watcher.lockfiles.composer_json import (
    PACKAGIST,
    Manifest,
    Repository,
    document,
    manifest,
    mapping,
    package_name,
)
from watcher.lockfiles.place import Place
from watcher.lockfiles.wanted import beside
from watcher.pin import Pin
from watcher.source import Source
from watcher.versions.composer import STABILITIES, Composer, accepted, is_a_branch, stability

DEV = "dev"
"""The marker of what is there for the project's development, and in no image unless it says so."""
_MOST_PACKAGES = 20_000
_FLAGS = {0: "stable", 5: "RC", 10: "beta", 15: "alpha", 20: "dev"}
_REFERENCE = re.compile(r"[\x21-\x7e]{1,200}")
_SHA1 = re.compile(r"[0-9a-f]{40}")
_SCHEME = Composer()


@dataclass(frozen=True, slots=True)
class Locked:
    """One package of a lock: what it is, and its whole row there, of which nothing else has been checked."""

    package: str
    version: str
    is_dev: bool
    row: Mapping[str, Any]
    place: Place

    def part(self, key: str) -> Mapping[str, Any]:
        """The object at `key`, or an empty one."""
        return mapping(self.row.get(key), self.place.at(key))


class ComposerLock:
    """Composer's lock. Its `composer.json` stands beside it, and tells what the project itself asks for."""

    ecosystem = "packagist"

    def also(self, text: str, path: str) -> tuple[str, ...]:
        """See `Format`: the manifest."""
        return (manifest_of(path),) if path.endswith(".lock") else ()

    def sources(self, text: str, path: str, manifests: Mapping[str, str]) -> tuple[Source, ...]:
        """See `Format`: nothing. Composer itself finds what it installs."""
        return ()

    def pins(self, text: str, path: str, manifests: Mapping[str, str]) -> tuple[Pin, ...]:
        """See `Format`. Without its manifest a lock means nothing, to Composer as to us."""
        beside = manifest_of(path)
        if beside not in manifests:
            raise LockfileUnreadable(beside, "", "the manifest of the lock beside it", "nothing: there is no such file")
        asked = manifest(manifests[beside], beside)
        lock, place = document(text, path), Place(path)
        wish = _Wish.read(lock, place)
        return tuple(_pin(one, asked, wish) for one in locked(lock, place))


def manifest_of(path: str) -> str:
    """Where the manifest of the lock at `path` is."""
    return beside(path, posixpath.basename(path).removesuffix(".lock") + ".json")


def read_locked(text: str, path: str) -> tuple[Locked, ...]:
    """The packages of the lock at `path`, in its order. A `LockfileUnreadable` names the place of what is wrong."""
    return tuple(locked(document(text, path), Place(path)))


def locked(lock: Mapping[str, Any], place: Place) -> Iterator[Locked]:
    """The packages of a lock that was read already."""
    seen: set[str] = set()
    for key, is_dev in (("packages", False), ("packages-dev", True)):
        # Some locks were made without what is for development, and say so by null.
        value = [] if is_dev and lock.get(key) is None else lock.get(key)
        rows = place.at(key).a(list, value, "a list of packages")
        for number, row in enumerate(rows):
            at = Place(place.path, f"{key}[{number}]")
            one = _locked(at.a(dict, row, "a package"), is_dev, at)
            if one.package in seen:
                raise at.at("name").wrong("each package once", one.package)
            seen.add(one.package)
            yield one
            if len(seen) > _MOST_PACKAGES:
                raise place.wrong(f"at most {_MOST_PACKAGES:,} packages", "more")


def _locked(row: dict[str, Any], is_dev: bool, place: Place) -> Locked:
    name = place.at("name").read(row.get("name"), package_name, "the name of a package")
    version = place.at("version").read(row.get("version"), _SCHEME.normal, "a version that Composer knows")
    return Locked(name, version, is_dev, row, place)


@dataclass(frozen=True, slots=True)
class _Wish:
    """How stable the project wants its packages, as the lock repeats it."""

    minimum: str
    flags: Mapping[str, str]
    prefers_stable: bool

    @classmethod
    def read(cls, lock: Mapping[str, Any], place: Place) -> "_Wish":
        flags = mapping(lock.get("stability-flags"), place.at("stability-flags"))
        minimum = place.at("minimum-stability").read(lock.get("minimum-stability", "stable"), _stability, "a stability")
        return cls(
            minimum,
            {name.lower(): _flag(value, place.at("stability-flags").at(name)) for name, value in flags.items()},
            place.at("prefer-stable").a(bool, lock.get("prefer-stable", False), "true or false"),
        )

    def of(self, one: Locked, constraint: str) -> str:
        """The least stable release that may take the place of this one."""
        least = self.flags.get(one.package) or _accepted(constraint, self.minimum)
        # What is preferred is there: the release that is installed.
        return min(least, stability(one.version), key=STABILITIES.index) if self.prefers_stable else least


def _accepted(constraint: str, minimum: str) -> str:
    return accepted(constraint, minimum) if constraint else minimum


def _stability(text: str) -> str:
    found = next((one for one in STABILITIES if one.lower() == text.lower()), None)
    if found is None:
        raise ValueError
    return found


def _flag(value: object, place: Place) -> str:
    flag = place.a(int, value, "0, 5, 10, 15 or 20")
    if flag not in _FLAGS:
        raise place.wrong("0, 5, 10, 15 or 20", str(flag))
    return _FLAGS[flag]


def _pin(one: Locked, asked: Manifest, wish: _Wish) -> Pin:
    constraint = asked.requires.get(one.package) or asked.dev.get(one.package) or ""
    source, ways = _came_from(one, asked)
    several = [way.url for way in ways if len(ways) > 1]
    return Pin(
        ecosystem="packagist",
        package=one.package,
        version=one.version,
        lock=one.place.path,
        direct=one.package in asked.requires or one.package in asked.dev,
        constraint=constraint,
        marker=DEV if one.is_dev else "",
        source=source,
        registry=ways[0].url if len(ways) == 1 else "",
        hashes=_marks(one),
        stability=wish.of(one, constraint),
        registries=tuple(several),
        open=tuple(way.url for way in ways if way.url in several and not way.is_last_word),
    )


def _came_from(one: Locked, asked: Manifest) -> tuple[str, tuple[Repository, ...]]:
    """The pin's source, and the indexes that may have it: none, if that is Packagist by itself, which nobody named.

    A lock does not say which repository a package is from. What a repository of the project defines, or holds the
    sources of, is from there; the rest is from the indexes that the manifest lets have it.
    """
    dist, source = one.part("dist"), one.part("source")
    url = str(source.get("url", ""))
    if dist.get("type") == "path":
        return "path", ()
    if is_a_branch(one.version):
        return "git", ()
    indexes: list[Repository] = []
    for way in asked.ways(one.package):
        if way.kind == "composer":
            indexes.append(way)
        elif way.kind == "package" or (way.kind == "vcs" and _same(way, url)):
            return "git" if url else "url", ()
    if not indexes:
        return ("git" if url else "url"), ()
    return "index", () if [way.url for way in indexes] == [PACKAGIST] else tuple(indexes)


def _same(way: Repository, url: str) -> bool:
    return normal(way.url).removesuffix(".git").lower() == normal(url).removesuffix(".git").lower()


def _marks(one: Locked) -> tuple[str, ...]:
    """What says which files the version has: `ref:…` is Composer's reference, most often a commit."""
    dist, source = one.part("dist"), one.part("source")
    references = {f"ref:{part['reference']}" for part in (dist, source) if _is(part.get("reference"), _REFERENCE)}
    sums = {f"sha1:{dist['shasum']}"} if _is(dist.get("shasum"), _SHA1) else set()
    return tuple(sorted(references | sums))


def _is(value: object, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
