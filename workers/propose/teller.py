"""Finding out what there is to tell about a bump: from the ledger, and from the authors of what moves."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from watcher.advisory import Advisory
from watcher.bump import Bump
from watcher.ecosystems import ECOSYSTEMS
from watcher.http import Http
from watcher.ledger import Ledger
from watcher.lockfiles import ecosystem_of
from watcher.lockfiles.composer_lock import manifest_of
from watcher.lockfiles.diff import LockDiff
from watcher.lookup import Bulletin, Lookup
from watcher.machine import Machine, machines
from watcher.pin import Pin
from watcher.release import Release
from watcher.rollout import HostState, Rollout
from watcher.settings import Settings
from watcher.wheels import Wheels
from workers.propose.authors import LIMITS, Authors
from workers.propose.changelog import About
from workers.propose.facts import Facts, Layer, Notes, Read
from workers.propose.links import Link, links
from workers.propose.plugins import allowed

_MOST, _MOST_NOTES = 12, 5
"""Packages whose metadata is asked for, to say what needs what, and those whose changelogs are."""
_ROLLOUTS = 5
"""The last ones that say how fast a link is."""


@dataclass(frozen=True, slots=True)
class FromEverywhere:
    """A teller for one bump. `layers` asks for those of the image that runs now, and `foretold` what a build of the
    change makes anew."""

    bump: Bump
    settings: Settings
    ledger: Ledger
    layers: Callable[[], Sequence[Layer]]
    foretold: Callable[[Read], Sequence[str]] = lambda _: ()

    def __call__(self, diff: LockDiff, read: Read) -> Facts:
        app = self.settings.apps[self.bump.app]
        fleet = self.settings.fleets[app.fleet]
        with Http(self.settings.toplayer.contact, limits=LIMITS) as http:
            authors = Authors(self.settings, self.ledger, http, read)
            abouts = {pin.package: about for pin in _new(diff)[:_MOST] if (about := authors.about(pin)) is not None}
            notes = list(self._notes(diff, authors, abouts))
        found = {(pin.package, pin.version): authors.release(pin.package, pin.version) for pin in diff.pins}
        weights = {(pin.package, pin.version): self._size(pin, found[pin.package, pin.version]) for pin in diff.pins}
        return Facts(
            releases={key: one for key, one in found.items() if one is not None},
            sizes={key: size for key, size in weights.items() if size is not None},
            advisories=self._advisories(),
            notes=notes,
            why=_why(_new(diff), abouts),
            layers=self.layers(),
            foretold=self.foretold(read),
            hosts=len(fleet.hosts),
            fleet=app.fleet,
            waves=", ".join(map(str, fleet.waves)),
            approve=fleet.approve,
            links=self._links(app.fleet),
            plugins=_plugins(app.lock_of(self.bump.ecosystem), read),
        )

    def _links(self, name: str) -> tuple[Link, ...]:
        """Of the fleet, with what its hosts pulled last, whichever of its apps it was for."""
        fleet = self.settings.fleets[name]
        apps = [app for app, settings in self.settings.apps.items() if settings.fleet == name]
        rolled = [
            one for one in self.ledger.all(Rollout, app=apps, order="-wanted_at", limit=4 * _ROLLOUTS) if one.rolling_at
        ]
        pulls = [
            (str(host), travelled, seconds)
            for one in rolled[:_ROLLOUTS]
            for host, travelled, seconds in self.ledger.rows(HostState, "host", "bytes", "pull_seconds", rollout=one.id)
        ]
        return links(fleet, machines(name, fleet, self.ledger.all(Machine, fleet=name)), pulls)

    def _size(self, pin: Pin, release: Release | None) -> int | None:
        """The bytes of the file of a release that fits the image best, if its index tells them."""
        target = ECOSYSTEMS[pin.ecosystem].target(self.settings.apps[self.bump.app].image)
        files = target.fit(pin, release).files if release is not None else ()
        if isinstance(target, Wheels):
            files = tuple(sorted(files, key=target.rank))
        return files[0].size if files else None

    def _notes(self, diff: LockDiff, authors: Authors, abouts: Mapping[str, About]) -> Iterable[Notes]:
        """Of what was asked for: what moves only because that needs it has a reason, and no chapter."""
        asked = {part.package for part in self.bump.parts}
        moved = {change.after.package: change for change in diff.changed if change.after.package in asked}
        for package, change in list(moved.items())[:_MOST_NOTES]:
            if (said := authors.notes(change.after, change.before.version, abouts.get(package))) is not None:
                yield said

    def _advisories(self) -> dict[str, Advisory]:
        """Those that the bump fixes, by what people call them."""
        found: dict[str, Advisory] = {}
        for part in self.bump.parts if self.bump.advisories else ():
            lookups = self.ledger.all(Lookup, package=part.package)
            bulletins = self.ledger.all(Bulletin, package=part.package)
            said = [*(source.advisories for source in lookups), *(source.advisories for source in bulletins)]
            found |= {one.name: one for ones in said for one in ones if one.name in self.bump.advisories}
        return found


def _plugins(lock: str, read: Read) -> tuple[str, ...]:
    """Composer's, of the lock that moves; none, if it is no lock of Composer's, or cannot be read."""
    try:
        texts = [json.loads(read(name) or b"{}") for name in (lock, manifest_of(lock))]
    except (ValueError, RecursionError):
        return ()
    return allowed(*texts) if ecosystem_of(lock) == "packagist" and all(isinstance(one, dict) for one in texts) else ()


def _new(diff: LockDiff) -> list[Pin]:
    return [*(change.after for change in diff.changed), *diff.added]


def _why(pins: Iterable[Pin], abouts: Mapping[str, About]) -> dict[str, str]:
    """By package, who of the others asks for it, in the words of its metadata."""
    asking: dict[str, list[str]] = {}
    versions = {pin.package: pin.version for pin in pins}
    for package, about in abouts.items():
        for wanted, words in about.needs:
            asking.setdefault(wanted, []).append(f"{package} {versions[package]} needs {words}")
    return {package: "; ".join(said[:3]) for package, said in asking.items()}
