"""What the authors of packages say: what a release needs, and what has changed in it. Nothing here fails."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from watcher.errors import IndexUnreachable, LockfileUnreadable
from watcher.http import Http, Limits, Request, basic
from watcher.inert import inert
from watcher.ledger import Ledger
from watcher.lockfiles.composer_lock import Locked, read_locked
from watcher.lookup import Lookup
from watcher.pin import Pin
from watcher.release import File, Release
from watcher.settings import IndexSettings, Settings
from watcher.versions import SCHEMES
from workers.propose import changelog
from workers.propose.changelog import About
from workers.propose.facts import Notes, Read

LIMITS = Limits(deadline=30.0, stall=10.0, attempts=1, patience=0.0, largest=30_000_000)
"""A changelog is a courtesy: what takes longer, or is larger, is left out."""
_HASHES = ("sha256", "sha1")
log = logging.getLogger("toplayer")


@dataclass(frozen=True, slots=True)
class Authors:
    """Asks for packages of the indexes that the settings name. `read` gives the files of the commit that moves them."""

    settings: Settings
    ledger: Ledger
    http: Http
    read: Read
    _locks: dict[str, Mapping[str, Locked]] = field(default_factory=dict)

    def release(self, package: str, version: str) -> Release | None:
        """The release as its index had it when it was last asked."""
        known = (one for lookup in self.ledger.all(Lookup, package=package) for one in lookup.releases)
        return next((one for one in known if one.version == version), None)

    def about(self, pin: Pin) -> About | None:
        """What its release needs, and where its project lives, if that is to be found."""
        return _ABOUT[pin.ecosystem](self, pin) if pin.ecosystem in _ABOUT else None

    def notes(self, pin: Pin, before: str, about: About | None) -> Notes | None:
        """From the changelog in the archive; else from the project's releases on its forge."""
        scheme = SCHEMES[pin.ecosystem]
        release = self.release(pin.package, pin.version)
        files = release.files if release else ()
        archive = next((file for file in files if file.filename.endswith(changelog.ARCHIVES)), None)
        if archive is not None and (archive.size or 0) <= LIMITS.largest:
            found = changelog.in_archive(self._file(archive, pin.package))
            text = changelog.between(found[1], before, pin.version, scheme) if found else ""
            if found and text:
                return Notes(package=pin.package, text=text, source=f"{found[0]} in {archive.filename}")
        place = changelog.releases_at(about.links) if about and self._is_public(pin.package) else None
        said = self._get(place[0], pin.package) if place else None
        text = changelog.of_releases(said, before, pin.version, scheme) if said else ""
        return Notes(package=pin.package, text=text, source=place[1]) if place and text else None

    def in_wheel(self, pin: Pin) -> About | None:
        """From the metadata of a wheel, if its index serves it apart (PEP 658)."""
        release = self.release(pin.package, pin.version)
        wheel = next((file for file in release.files if file.filename.endswith(".whl")), None) if release else None
        said = self._get(f"{wheel.url}.metadata", pin.package) if wheel else None
        return changelog.in_metadata(said.decode("utf-8", "replace")) if said else None

    def in_lock(self, pin: Pin) -> About | None:
        """From the package's row in a composer.lock, which holds all that its author says of it."""
        if pin.lock not in self._locks:
            self._locks[pin.lock] = {one.package: one for one in self._rows(pin.lock)}
        locked = self._locks[pin.lock].get(pin.package)
        return changelog.in_composer(locked.row) if locked else None

    def _rows(self, path: str) -> Iterable[Locked]:
        try:
            return read_locked((self.read(path) or b"").decode("utf-8", "replace"), path)
        except LockfileUnreadable as error:
            log.info("nothing is told from %s: %s", path, error)
            return ()

    def _is_public(self, package: str) -> bool:
        """Whether others may hear of the package: its index is one of those whose packages everybody knows."""
        indexes, lookups = self.settings.indexes, self.ledger.all(Lookup, package=package)
        return any(lookup.releases and indexes[lookup.index].is_public for lookup in lookups if lookup.index in indexes)

    def _file(self, file: File, package: str) -> bytes:
        """The bytes of a file, if they are those that the index speaks of."""
        data = self._get(file.url, package) or b""
        kind = next((name for name in _HASHES if name in file.hashes), "")
        # A sum by SHA-1 is all that Composer's repositories have; what is read here is shown, and not run.
        made = hashlib.new(kind, data, usedforsecurity=False).hexdigest() if kind else ""
        return data if made == file.hashes.get(kind, "") else b""

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
        for index in self.settings.indexes.values():
            if index.url and _server(index.url) == _server(url):
                return index
        return None


_ABOUT: Mapping[str, Callable[[Authors, Pin], About | None]] = {"pypi": Authors.in_wheel, "packagist": Authors.in_lock}
"""Where an ecosystem keeps what an author says of a release."""


def _server(url: str) -> tuple[str, str] | None:
    """What decides who gets to see a password. None for what is no address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts.scheme, parts.netloc


def _credentials(index: IndexSettings) -> dict[str, str]:
    return basic(index.username, index.password.reveal()) if index.password else {}
