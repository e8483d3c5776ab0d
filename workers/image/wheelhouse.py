"""Where wheels come from: an index says which ones there are, and the best one for the image is brought here."""

import errno
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from packaging.utils import BuildTag, parse_wheel_filename
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from watcher.errors import IndexLied, IndexRefused, IndexUnreachable
from watcher.http import Http
from watcher.http.address import is_private
from watcher.indexes import INDEXES
from watcher.lookup import Lookup, Outcome
from watcher.pin import Pin
from watcher.release import File, Release
from watcher.settings import IndexSettings
from watcher.wheels import Wheels, is_source
from workers.image.errors import BuildRefused
from workers.image.wheel import MOST_BYTES
from workers.oci.answer import WireFailed
from workers.oci.download import Download
from workers.oci.keys import Keys
from workers.oci.wire import Wire

NO_WHEEL = (
    "set [apps.….image.sandbox], where source distributions are built; "
    "or keep a version that has a wheel, or publish one on an index of yours"
)


class Wheelhouse:
    """The wheels of one index for one target. Safe to share between threads."""

    def __init__(self, settings: IndexSettings, target: Wheels, http: Http) -> None:
        self.url = (settings.url or PYPI_SIMPLE_ENDPOINT).rstrip("/")
        self._settings, self._target, self._http = settings, target, http
        self._wires: dict[str, Wire] = {}
        self._lock = threading.Lock()

    def best(self, pins: Sequence[Pin], now: datetime) -> Mapping[Pin, File]:
        """The file that is to be installed for each pin (of different packages). The index is asked for all at once.

        A `BuildRefused` names all pins for which there is none, an `IndexUnreachable` one that is not known now.
        """
        index = INDEXES[self._settings.kind](self._settings)
        waiting = {pin.package: pin for pin in pins}
        found: dict[Pin, File] = {}
        faults: list[str] = []
        for lookup in index.look_up([Lookup(index="", package=name) for name in waiting], self._http, now):
            if lookup.outcome is Outcome.UNKNOWN:
                raise IndexUnreachable(f"{self.url}/{lookup.package}/", lookup.reason)
            pin = waiting[lookup.package]
            choice = self._choose(pin, lookup.releases)
            if isinstance(choice, File):
                found[pin] = choice
            else:
                faults.append(f"`{pin.package}` {pin.version} {choice}")
        if faults:
            raise BuildRefused(pins[0].lock, "; ".join(sorted(faults)), "" if self._target.builds else NO_WHEEL)
        return found

    def _choose(self, pin: Pin, releases: Collection[Release]) -> File | str:
        """The best file, or why there is none."""
        release = next((release for release in releases if release.version == pin.version), None)
        if release is None:
            return f"is not on {self.url}"
        fit = self._target.fit(pin, release)
        if not fit.files:
            # What the lock names stays installable when it is yanked (PEP 592); it is only never chosen anew.
            files = tuple(replace(file, yanked=None) for file in release.files)
            fit = self._target.fit(pin, replace(release, files=files))
        accepted = [file for file in fit.files if not pin.hashes or _hash(file) in ("", *pin.hashes)]
        if fit.files and not accepted:
            return f"has no wheel for {self._target} with a hash that the lock has"
        if not accepted:
            return fit.said
        rank = min(map(self._target.rank, accepted))
        return max((file for file in accepted if self._target.rank(file) == rank), key=_build)

    def bring(self, pin: Pin, file: File, into: Path) -> Path:
        """Downloads the file into a directory. What arrives has a hash that the lock or, without one, the index has.

        Raises `BuildRefused`, `IndexUnreachable`, `IndexRefused` or `IndexLied`.
        """
        url = urljoin(f"{self.url}/", file.url)
        return self.fetch(url, into / file.filename, pin.hashes or tuple(filter(None, [_hash(file)])), file.size)

    def fetch(self, url: str, path: Path, accepted: Sequence[str], size: int | None = None) -> Path:
        """Downloads what is at an address to `path`. It has one of the hashes that are accepted, if there are any."""
        try:
            with path.open("w+b") as sink:
                digest = self._download(url, Download(url, sink, size or MOST_BYTES))
        except OSError as error:
            hint = "make room on the disk" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
            raise BuildRefused(str(path), error.strerror or str(error), hint) from error
        if accepted and digest not in accepted:
            said = f"expected the bytes with the hash {' or '.join(accepted[:3])}, got {digest}"
            raise BuildRefused(path.name, said, f"somebody has changed {url}, or the lock: find out who")
        return path

    def _download(self, url: str, download: Download) -> str:
        wire = self._wire(url)
        try:
            wire.run(wire.tried(lambda: download.go_on(wire)))
        except WireFailed as failed:
            if failed.again:
                raise IndexUnreachable(url, failed.why, failed.wait) from failed
            if failed.status in (401, 403):
                raise IndexRefused(url, failed.why) from failed
            raise IndexLied(url, "the file", "its bytes", failed.why) from failed
        return f"sha256:{download.hash.hexdigest()}"

    def _wire(self, url: str) -> Wire:
        """The wire to the server of `url`. The index's password goes to the index's own server alone."""
        there, here = urlsplit(url), urlsplit(self.url)
        if (here.scheme, there.scheme) == ("https", "http"):
            raise IndexLied(self.url, "url", "files behind https://, as the index is", url)
        origin = f"{there.scheme}://{there.netloc.rpartition('@')[2]}"
        with self._lock:
            if origin not in self._wires:
                mine = there.netloc == here.netloc and there.scheme == here.scheme
                wire = Wire(origin, self._keys() if mine else Keys())
                self._check_private(wire, there.hostname or "", here.hostname or "")
                self._wires[origin] = wire
            return self._wires[origin]

    def _check_private(self, wire: Wire, there: str, here: str) -> None:
        if there == here or self._settings.private or not wire.run(is_private(there)):
            return
        if not wire.run(is_private(here)):
            said = f"the private address {there}; if that is right, set `private = true`"
            raise IndexLied(self.url, "url", "files at a public address, as the index is", said)

    def _keys(self) -> Keys:
        if self._settings.password is None:
            return Keys()
        try:
            return Keys(self._settings.username, self._settings.password.reveal())
        except LookupError as error:
            raise IndexRefused(self.url, str(error.args[0])) from error


def _hash(file: File) -> str:
    return f"sha256:{file.hashes['sha256']}" if "sha256" in file.hashes else ""


def _build(file: File) -> tuple[BuildTag, str]:
    if is_source(file):
        return (), file.filename
    return parse_wheel_filename(file.filename)[2], file.filename
