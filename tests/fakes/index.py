"""An index in memory. It passes the same tests as a real one (tests/watcher/indexes/test_contract.py)."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from watcher.errors import IndexUnreachable
from watcher.http import Http
from watcher.lookup import Lookup, Outcome, Traces, Unchanged
from watcher.pin import Pin
from watcher.release import File, Release
from watcher.versions import SCHEMES

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


class FakeIndex:
    """Packages appear by `publish`, are taken back by `yank`, and the whole index can be `down`."""

    is_only_about_releases = True

    def __init__(self) -> None:
        self.down = False
        self._releases: dict[str, dict[str, Release]] = {}
        self._status: dict[str, tuple[str, str]] = {}

    def publish(
        self,
        name: str,
        version: str,
        *,
        requires_python: str = "",
        tags: Sequence[str] = ("py3-none-any",),
        at: datetime | None = LONG_AGO,
    ) -> None:
        """A release with one wheel per tag, uploaded at `at` (None: the index does not tell)."""
        stem = f"{name.replace('-', '_')}-{version}"
        files = tuple(_file(f"{stem}-{tag}.whl", requires_python, at) for tag in sorted(tags))
        self._releases.setdefault(name, {})[version] = Release(package=name, version=version, files=files)

    def yank(self, name: str, version: str, reason: str = "") -> None:
        """Takes a release back (PEP 592)."""
        release = self._releases[name][version]
        files = tuple(replace(file, yanked=reason) for file in release.files)
        self._releases[name][version] = replace(release, files=files)

    def retag(self, name: str, version: str) -> None:
        """Puts other files under a version than those that stood there first."""
        release = self._releases[name][version]
        files = tuple(replace(file, moved="its tag has moved") for file in release.files)
        self._releases[name][version] = replace(release, files=files)

    def withdraw(self, name: str) -> None:
        """Deletes a project: from now on the index does not know it."""
        del self._releases[name]

    def call(self, name: str, status: str, said: str = "") -> None:
        """Says of a project as a whole that it is archived, deprecated, quarantined or abandoned (PEP 792)."""
        self._status[name] = (status, said)

    def unchanged(self, traces: Traces, http: Http, now: datetime, pins: Iterable[Pin] = ()) -> None:
        """See `watcher.indexes.Index`: it has no feed."""

    def look_up(
        self,
        known: Sequence[Lookup],
        http: Http,
        now: datetime,
        pins: Iterable[Pin] = (),
        said: Unchanged | None = None,
    ) -> Iterator[Lookup]:
        """See `watcher.indexes.Index`."""
        for lookup in known:
            yield self._looked_up(lookup, now)

    def _looked_up(self, known: Lookup, now: datetime) -> Lookup:
        if self.down:
            error = IndexUnreachable(f"https://index.example/simple/{known.package}/", "it is down")
            return replace(known.again(now, error), outcome=Outcome.UNKNOWN, looked_at=now)
        found = self._releases.get(known.package)
        if found is None:
            return known.absent(now)
        status, said = self._status.get(known.package, ("", ""))
        releases = sorted(found.values(), key=lambda release: SCHEMES["pypi"].key(release.version))
        mine = {"releases": tuple(releases), "status": status, "status_said": said}
        return known.answered(now, outcome=Outcome.ANSWER, had_at=None, **mine)


def _file(filename: str, requires_python: str, at: datetime | None) -> File:
    return File(
        filename=filename,
        url=f"https://index.example/files/{filename}",
        hashes={"sha256": hashlib.sha256(filename.encode()).hexdigest()},
        size=len(filename),
        requires_python=requires_python,
        uploaded_at=at,
    )
