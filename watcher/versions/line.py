"""The versions of one package in their order, and the stretches of it that people warn of.

Both come from strangers, ten thousand of each if it comes to the worst: so the versions are laid out once, and where a
stretch begins and ends is found by halving.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol


class Order(Protocol):
    """What a line has to know of a scheme."""

    def key(self, version: str) -> Any: ...
    def allows(self, constraint: str, version: str) -> bool: ...


class Line:
    """The versions, oldest first. Stretches are ranges of their places; what cannot be read is a `ValueError`."""

    def __init__(self, versions: Iterable[str], scheme: Order) -> None:
        self._scheme = scheme
        self.versions: Sequence[str] = sorted(set(versions), key=scheme.key)
        self._keys = [scheme.key(version) for version in self.versions]
        self._places = {version: range(place, place + 1) for place, version in enumerate(self.versions)}

    def at(self, version: str) -> range:
        """Where one version is, in normal form."""
        return self._places.get(version, range(0))

    def span(self, introduced: str, fixed: str, last: str) -> range:
        """From `introduced` on (empty: from the first), up to `fixed` and without it, or up to and with `last`."""
        start = self._before(introduced) if introduced else 0
        end = self._before(fixed) if fixed else self._after(last) if last else len(self.versions)
        return range(start, end)

    def admitted(self, constraint: str) -> Iterator[range]:
        """What a constraint admits."""
        for version in self.versions:
            if self._scheme.allows(constraint, version):
                yield self.at(version)

    def _before(self, version: str) -> int:
        """The place of the first one that is not older."""
        return bisect_left(self._keys, self._scheme.key(version))

    def _after(self, version: str) -> int:
        """The place of the first one that is newer."""
        return bisect_right(self._keys, self._scheme.key(version))
