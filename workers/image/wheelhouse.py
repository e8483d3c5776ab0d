"""Where wheels come from: an index says which ones there are, and the best one for the image is brought here.

Which index is asked is decided in one place for looking, locking and building (`watcher.route`): a package of the same
name on another index is another package, and may be an attack.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from packaging.utils import BuildTag, parse_wheel_filename

from watcher.errors import IndexUnreachable
from watcher.http import Http
from watcher.indexes import INDEXES
from watcher.lookup import Lookup, Outcome
from watcher.pin import Pin
from watcher.release import File, Release
from watcher.route import Indexes, answer, route, unrouted
from watcher.settings import IndexSettings
from watcher.target import Fit
from watcher.wheels import Wheels, is_source
from workers.image.errors import BuildRefused
from workers.image.shelf import Shelf

NO_WHEEL = (
    "set [apps.….image.sandbox], where source distributions are built; "
    "or keep a version that has a wheel, or publish one on an index of yours"
)
_KIND = "pypi"
_UNROUTED = "name it under [indexes], or lock again from those that stand there"

Looked = Callable[[str, str], Lookup | None]
"""What is known already of a package on an index, by their names."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A file, and the name of the index that has it."""

    index: str
    file: File


class Wheelhouse:
    """The wheels of an app's indexes for one target. Safe to share between threads."""

    def __init__(
        self, indexes: Indexes, target: Wheels, http: Http, looked: Looked = lambda _index, _package: None
    ) -> None:
        """`looked` spares an index from saying again what it has said, and tells what it has had."""
        self._indexes, self._target, self._http, self._looked = indexes, target, http, looked
        self._shelves = {name: Shelf(one) for name, one in indexes.items() if one.kind == _KIND}

    def address(self, pin: Pin) -> str:
        """Where the pin's package comes from: the indexes that may have it, as one text."""
        return " ".join(self._shelves[name].url for name in route(pin, self._indexes))

    def best(self, pins: Sequence[Pin], now: datetime) -> Mapping[Pin, Offer]:
        """What is to be installed for each pin (of different packages). The indexes are asked for all at once.

        A `BuildRefused` names all pins for which there is none, an `IndexUnreachable` one that is not known now.
        """
        lost = [why for pin in pins if (why := unrouted(pin, self._indexes))]
        if lost:
            raise BuildRefused(pins[0].lock, "; ".join(sorted(lost)), _UNROUTED)
        known = self._asked(pins, now)
        found: dict[Pin, Offer] = {}
        faults: list[str] = []
        for pin in pins:
            lookup = answer(pin, self._indexes, lambda index, package: known.get((index, package)))
            if lookup.outcome is Outcome.UNKNOWN:
                raise IndexUnreachable(f"{self._shelves[lookup.index].url}/{lookup.package}/", lookup.reason)
            choice = self._choose(pin, lookup.releases)
            if isinstance(choice, File):
                found[pin] = Offer(lookup.index, choice)
            else:
                faults.append(f"`{pin.package}` {pin.version} {choice}")
        if faults:
            raise BuildRefused(pins[0].lock, "; ".join(sorted(faults)), "" if self._target.builds else NO_WHEEL)
        return found

    def _asked(self, pins: Sequence[Pin], now: datetime) -> Mapping[tuple[str, str], Lookup]:
        """What the indexes say of the pins: the first on the way of each, and the next where one does not have it."""
        known: dict[tuple[str, str], Lookup] = {}
        while due := dict.fromkeys(self._due(pins, known)):
            for name in dict.fromkeys(index for index, _ in due):
                asked = [
                    self._looked(index, package) or Lookup(index=index, package=package)
                    for index, package in due
                    if index == name
                ]
                index = INDEXES[_KIND](self._indexes[name])
                known |= {(name, one.package): one for one in index.look_up(asked, self._http, now)}
        return known

    def _due(self, pins: Sequence[Pin], known: Mapping[tuple[str, str], Lookup]) -> Iterator[tuple[str, str]]:
        """Who is to be asked next, and for which package."""
        for pin in pins:
            lookup = answer(pin, self._indexes, lambda index, package: known.get((index, package)))
            if (lookup.index, lookup.package) not in known:
                yield lookup.index, lookup.package

    def _choose(self, pin: Pin, releases: Collection[Release]) -> File | str:
        """The best file, or why there is none."""
        release = next((release for release in releases if release.version == pin.version), None)
        if release is None:
            return f"is not on {self.address(pin).replace(' ', ' or ')}"
        accepted = tuple(file for file in release.files if not pin.hashes or _hash(file) in ("", *pin.hashes))
        fit = self._fit(pin, replace(release, files=accepted))
        if not fit.files:
            every = self._fit(pin, release)
            return f"has no file for {self._target} with a hash that the lock has" if every.files else every.said
        rank = min(map(self._target.rank, fit.files))
        return max((file for file in fit.files if self._target.rank(file) == rank), key=_build)

    def _fit(self, pin: Pin, release: Release) -> Fit:
        """What of a release can be installed. What the lock names stays so when it is yanked: it is only never chosen
        anew (PEP 592)."""
        fit = self._target.fit(pin, release)
        if fit.files:
            return fit
        files = tuple(replace(file, yanked=None) for file in release.files)
        return self._target.fit(pin, replace(release, files=files))

    def bring(self, pin: Pin, offer: Offer, into: Path) -> Path:
        """Downloads a file into a directory. What arrives has a hash that the lock or, without one, the index has.

        Raises what `Shelf.fetch` raises.
        """
        file = offer.file
        accepted = pin.hashes or tuple(filter(None, [_hash(file)]))
        return self._shelves[offer.index].fetch(file.url, into / file.filename, accepted, file.size)

    def fetch(self, url: str, path: Path, accepted: Sequence[str]) -> Path:
        """Downloads what a lock has from an address, and from no index. See `Shelf.fetch`.

        The server of an index gets the password of that index, and may be a private one if the index may.
        """
        shelves = list(self._shelves.values()) or [Shelf(IndexSettings(kind=_KIND))]
        return min(shelves, key=lambda shelf: shelf.nearness(url)).fetch(url, path, accepted)


def _hash(file: File) -> str:
    return f"sha256:{file.hashes['sha256']}" if "sha256" in file.hashes else ""


def _build(file: File) -> tuple[BuildTag, str]:
    if is_source(file):
        return (), file.filename
    return parse_wheel_filename(file.filename)[2], file.filename
