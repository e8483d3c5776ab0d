"""The files of one index of Python packages: the door through which they come."""

import errno
import threading
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import SplitResult, urljoin, urlsplit

from watcher.errors import IndexLied, IndexRefused, IndexUnreachable
from watcher.http.address import is_private
from watcher.indexes.key import key_of
from watcher.indexes.pypi import address
from watcher.settings import IndexSettings
from workers.image.errors import BuildRefused
from workers.image.wheel import MOST_BYTES
from workers.oci.answer import WireFailed
from workers.oci.download import Download
from workers.oci.keys import Keys, Shown
from workers.oci.wire import Wire


class Shelf:
    """The index of these settings. Safe to share between threads."""

    def __init__(self, settings: IndexSettings) -> None:
        self.settings, self.url = settings, (settings.url or address()).rstrip("/")
        self._wires: dict[str, Wire] = {}
        self._lock = threading.Lock()

    def nearness(self, url: str) -> int:
        """How near to the index what is at `url` is: on its own server, on its machine, where it may lead us, afar."""
        there, here = urlsplit(url), urlsplit(self.url)
        if _server(there) == _server(here):
            return 0
        return 1 if there.hostname == here.hostname else 2 if self.settings.private else 3

    def fetch(self, url: str, path: Path, accepted: Sequence[str], size: int | None = None) -> Path:
        """Downloads what is at an address to `path`. It has one of the hashes that are accepted, if there are any.

        A relative address is one of the index. Raises `BuildRefused`, `IndexUnreachable`, `IndexRefused`, `IndexLied`.
        """
        url = urljoin(f"{self.url}/", url)
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
            wire.run(download.all(wire))
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
                wire = Wire(origin, self._keys() if _server(there) == _server(here) else Keys())
                self._check_private(wire, there.hostname or "", here.hostname or "")
                self._wires[origin] = wire
            return self._wires[origin]

    def _check_private(self, wire: Wire, there: str, here: str) -> None:
        if there == here or self.settings.private or not wire.run(is_private(there)):
            return
        if not wire.run(is_private(here)):
            said = f"the private address {there}; if that is right, set `private = true`"
            raise IndexLied(self.url, "url", "files at a public address, as the index is", said)

    def _keys(self) -> Keys:
        if self.settings.auth != "basic":
            return Shown(key_of(self.settings, self.url))
        if self.settings.password is None:
            return Keys()
        try:
            return Keys(self.settings.username, self.settings.password.reveal())
        except LookupError as error:
            raise IndexRefused(self.url, str(error.args[0])) from error


def _server(url: SplitResult) -> tuple[str, str]:
    return url.scheme, url.netloc.rpartition("@")[2]
