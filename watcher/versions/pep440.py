"""Python's versions, by PEP 440. `packaging` is the reference implementation; this file only gives it our shape."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from watcher.versions.kind import Kind, kind
from watcher.versions.line import Line

_LONGEST = 500
"""No real version or specifier comes near it, and Python refuses to read numbers of thousands of digits."""


class Pep440:
    """The scheme of PyPI."""

    def normal(self, version: str) -> str:
        return str(self.key(version))

    def key(self, version: str) -> Version:
        return _version(version)

    def is_newer(self, version: str, than: str) -> bool:
        return self.key(version) > self.key(than)

    def is_prerelease(self, version: str) -> bool:
        return self.key(version).is_prerelease

    def allows(self, constraint: str, version: str) -> bool:
        return specifiers(constraint).contains(self.key(version), prereleases=True)

    def kind(self, before: str, after: str) -> Kind:
        old, new = self.key(before), self.key(after)
        return kind(old.release, new.release) if old.epoch == new.epoch else Kind.MAJOR

    def line(self, versions: Iterable[str]) -> Line:
        return Pep440Line(versions, self)


class Pep440Line(Line):
    """See `Line`. What a builder has added to a version (`+cu118`) counts only against who adds something himself: as
    in specifiers, 2.0+cu118 is 2.0, and not newer."""

    def __init__(self, versions: Iterable[str], scheme: Pep440) -> None:
        super().__init__(versions, scheme)
        self._public = [_version(key.public) if key.local else key for key in self._keys]
        for place, (key, public) in enumerate(zip(self._keys, self._public, strict=True)):
            # Those that are built of one version stand side by side, and after it.
            if key.local:
                first = self._places.get(str(public), range(place, place)).start
                self._places[str(public)] = range(first, place + 1)

    def _before(self, version: str) -> int:
        return bisect_left(self._counted(version), _version(version))

    def _after(self, version: str) -> int:
        return bisect_right(self._counted(version), _version(version))

    def _counted(self, version: str) -> list[Version]:
        return self._keys if _version(version).local else self._public


# The same versions are compared in every round, thousands of them.
@lru_cache(maxsize=65_536)
def _version(text: str) -> Version:
    if len(text) <= _LONGEST:
        with suppress(ValueError):
            return Version(text)
    raise ValueError(f"expected a PEP 440 version, got {text[:80]!r}")


@lru_cache(maxsize=4_096)
def specifiers(text: str) -> SpecifierSet:
    """A constraint, read; a `ValueError` if it is none."""
    if len(text) <= _LONGEST:
        with suppress(ValueError):
            return SpecifierSet(text)
    raise ValueError(f"expected a PEP 440 specifier, got {text[:80]!r}")
