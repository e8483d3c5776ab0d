"""How large an update is, as far as version numbers tell."""

from collections.abc import Sequence
from enum import StrEnum
from itertools import zip_longest


class Kind(StrEnum):
    """The size of an update. Their order is that of their sizes: see `KINDS`."""

    PATCH = "patch"
    MINOR = "minor"
    MAJOR = "major"


KINDS = (Kind.PATCH, Kind.MINOR, Kind.MAJOR)


def kind(before: Sequence[int], after: Sequence[int]) -> Kind:
    """By the first number that differs. Before 1.0 the second number counts as the first (SemVer, section 4)."""
    pairs = zip_longest(before, after, fillvalue=0)
    place = next((place for place, (old, new) in enumerate(pairs) if old != new), 2)
    if place == 1 and not any(before[:1]):
        return Kind.MAJOR
    return (Kind.MAJOR, Kind.MINOR, Kind.PATCH)[min(place, 2)]
