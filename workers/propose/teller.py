"""Finding out what there is to tell about a bump: from the ledger, from its index, and from its authors."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from watcher.advisory import Advisory
from watcher.bump import Bump, Part
from watcher.errors import IndexUnreachable
from watcher.http import Http, Limits, Request, basic
from watcher.inert import inert
from watcher.ledger import Ledger
from watcher.lockfiles.diff import LockDiff
from watcher.lookup import Bulletin, Lookup
from watcher.pin import Pin
from watcher.release import File, Release
from watcher.settings import IndexSettings, Settings
from watcher.versions import SCHEMES
from workers.propose import changelog
from workers.propose.facts import Facts, Layer, Notes

LIMITS = Limits(deadline=30.0, stall=10.0, attempts=1, patience=0.0, largest=30_000_000)
"""A changelog is a courtesy: what takes longer, or is larger, is left out."""
_MOST = 12
"""Packages whose metadata is asked for, to say what needs what."""
log = logging.getLogger("toplayer")


@dataclass(frozen=True, slots=True)
class FromEverywhere:
    """A teller for one bump. `layers` asks for those of the image that runs now."""

    bump: Bump
    settings: Settings
    ledger: Ledger
    layers: Callable[[], Sequence[Layer]]

    def __call__(self, diff: LockDiff) -> Facts:
        app = self.settings.apps[self.bump.app]
        fleet = self.settings.fleets[app.fleet]
        with Http(self.settings.toplayer.contact, limits=LIMITS) as http:
            authors = _Authors(self, http)
            abouts = {pin.package: about for pin in _new(diff)[:_MOST] if (about := authors.about(pin)) is not None}
            notes = [said for part in self.bump.parts[:5] if (said := authors.notes(part, abouts)) is not None]
        pins = [*diff.added, *diff.removed, *(pin for change in diff.changed for pin in (change.before, change.after))]
        return Facts(
            releases={(pin.package, pin.version): one for pin in pins if (one := self.release(pin)) is not None},
            advisories=self._advisories(),
            notes=notes,
            why=_why(_new(diff), abouts),
            layers=self.layers(),
            hosts=len(fleet.hosts),
            fleet=app.fleet,
            waves=", ".join(map(str, fleet.waves)),
        )

    def release(self, pin: Pin | Part) -> Release | None:
        """The release as the index had it when it was last asked."""
        version = pin.version if isinstance(pin, Pin) else pin.to_version
        known = (one for lookup in self.ledger.all(Lookup, package=pin.package) for one in lookup.releases)
        return next((one for one in known if one.version == version), None)

    def _advisories(self) -> dict[str, Advisory]:
        """Those that the bump fixes, by what people call them."""
        found: dict[str, Advisory] = {}
        for part in self.bump.parts if self.bump.advisories else ():
            lookups = self.ledger.all(Lookup, package=part.package)
            bulletins = self.ledger.all(Bulletin, package=part.package)
            said = [*(source.advisories for source in lookups), *(source.advisories for source in bulletins)]
            found |= {one.name: one for ones in said for one in ones if one.name in self.bump.advisories}
        return found


def _new(diff: LockDiff) -> list[Pin]:
    return [*(change.after for change in diff.changed), *diff.added]


def _why(pins: Iterable[Pin], abouts: dict[str, changelog.About]) -> dict[str, str]:
    """By package, who of the others asks for it, in the words of its metadata."""
    asking: dict[str, list[str]] = {}
    versions = {pin.package: pin.version for pin in pins}
    for package, about in abouts.items():
        for row in about.requires:
            try:
                wanted = Requirement(row)
            except InvalidRequirement:
                continue
            needs = f"{package} {versions[package]} needs {wanted.name}{wanted.specifier}"
            asking.setdefault(canonicalize_name(wanted.name), []).append(needs)
    return {package: "; ".join(said[:3]) for package, said in asking.items()}


@dataclass(frozen=True, slots=True)
class _Authors:
    """What the authors of packages say, as far as they say it where it can be found. Nothing here fails."""

    teller: FromEverywhere
    http: Http

    def about(self, pin: Pin) -> changelog.About | None:
        """The metadata of a wheel, if its index serves it apart (PEP 658)."""
        release = self.teller.release(pin) if pin.ecosystem == "pypi" else None
        wheel = next((file for file in release.files if file.filename.endswith(".whl")), None) if release else None
        said = self._get(f"{wheel.url}.metadata", pin.package) if wheel else None
        return changelog.about(said.decode("utf-8", "replace")) if said else None

    def notes(self, part: Part, abouts: dict[str, changelog.About]) -> Notes | None:
        """From the changelog in the source distribution; else from the project's releases on its forge."""
        scheme = SCHEMES[self.teller.bump.ecosystem]
        release = self.teller.release(part)
        sdist = next((file for file in release.files if file.filename.endswith(".tar.gz")), None) if release else None
        if sdist is not None and (sdist.size or 0) <= LIMITS.largest:
            found = changelog.in_sdist(self._file(sdist, part.package))
            text = changelog.between(found[1], part.from_version, part.to_version, scheme) if found else ""
            if found and text:
                return Notes(package=part.package, text=text, source=f"{found[0]} in {sdist.filename}")
        known = part.package in abouts and self._is_public(part.package)
        place = changelog.releases_at(abouts[part.package].links) if known else None
        said = self._get(place[0], part.package) if place else None
        text = changelog.of_releases(said, part.from_version, part.to_version, scheme) if said else ""
        return Notes(package=part.package, text=text, source=place[1]) if place and text else None

    def _is_public(self, package: str) -> bool:
        """Whether others may hear of the package: its index is one of those whose packages everybody knows."""
        indexes = self.teller.settings.indexes
        lookups = self.teller.ledger.all(Lookup, package=package)
        return any(lookup.releases and indexes[lookup.index].is_public for lookup in lookups if lookup.index in indexes)

    def _file(self, file: File, package: str) -> bytes:
        """The bytes of a file, if they are those that the index speaks of."""
        data = self._get(file.url, package) or b""
        expected = file.hashes.get("sha256", "")
        return data if not expected or hashlib.sha256(data).hexdigest() == expected else b""

    def _get(self, url: str, package: str) -> bytes | None:
        index = self._index(url)
        try:
            headers = _credentials(index) if index else {}
            answer = self.http.one(Request(url, headers, private=bool(index and index.private)))
        except (IndexUnreachable, LookupError) as error:
            log.info("%s: nothing is told from %s: %s", package, inert(url, 200), error)
            return None
        return answer.body if answer.status == 200 else None

    def _index(self, url: str) -> IndexSettings | None:
        """The index on whose own server the address is: its password goes nowhere else."""
        there = urlsplit(url)
        for index in self.teller.settings.indexes.values():
            here = urlsplit(index.url or "")
            if (here.scheme, here.netloc) == (there.scheme, there.netloc):
                return index
        return None


def _credentials(index: IndexSettings) -> dict[str, str]:
    return basic(index.username, index.password.reveal()) if index.password else {}
