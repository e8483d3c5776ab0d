"""Which layers an image has, and in which order: the decision, and nothing else.

For now: the environment at the bottom, the packages by name, the code on top. The order that costs the fewest bytes,
and the sizes and rates that it needs to know, belong here and nowhere else.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from workers.image.component import AUTOLOADER, CODE, VENV, Component, key_of


@dataclass(frozen=True, slots=True)
class Group:
    """The components that share a layer, from the bottom up; most often it is one."""

    components: tuple[Component, ...]

    @property
    def name(self) -> str:
        return " ".join(map(str, self.components))

    @property
    def key(self) -> str:
        """The key of its layer: that of its component, if there is one."""
        keys = [component.key for component in self.components]
        return keys[0] if len(keys) == 1 else key_of({"group": keys})


def order(components: Sequence[Component]) -> tuple[Component, ...]:
    """The components from the bottom up, in an order that no version has a say in."""
    ranks = {VENV: 0, AUTOLOADER: 2, CODE: 3}
    return tuple(sorted(components, key=lambda component: (ranks.get(component.name, 1), component.name)))


def grouped(components: Sequence[Component], most: int) -> tuple[Group, ...]:
    """At most `most` layers of these components: neighbours share one if there are more components than that.

    Which neighbours do so depends on their names alone: the boundaries with the smallest hashes fall first, as long as
    no group outgrows the others. So a new version changes no group but its own, and a new package those around it. The
    first and the last component stay by themselves.
    """
    if len(components) <= most:
        return tuple(Group((component,)) for component in components)
    inner = components[1:-1]
    bounds = _bounds([component.name for component in inner], max(most - 2, 1))
    shared = (Group(tuple(inner[a:b])) for a, b in pairwise(bounds))
    return (Group((components[0],)), *shared, Group((components[-1],)))


def _bounds(names: Sequence[str], most: int) -> list[int]:
    """Where at most `most` groups of neighbours begin, and where the last of them ends."""
    by_hash = sorted(range(1, len(names)), key=lambda n: _hash(names[n - 1], names[n]))
    for largest in range(-(-len(names) // most), len(names) + 1):
        bounds = list(range(len(names) + 1))
        for n in by_hash:
            place = bisect_left(bounds, n)
            if len(bounds) - 1 > most and bounds[place + 1] - bounds[place - 1] <= largest:
                del bounds[place]
        if len(bounds) - 1 <= most:
            return bounds
    raise AssertionError("one group holds them all")


def _hash(below: str, above: str) -> bytes:
    return hashlib.sha256(f"{below}\n{above}".encode()).digest()
