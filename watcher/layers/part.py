"""The words of the planner: parts, layers that hold them, and the terms under which bytes travel."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

PER_LAYER = 390
"""Bytes that a layer adds to manifest and configuration, which every change sends again (`make bench-layers`)."""
CODE, VENV = "code", "venv"
"""Names of the parts that are no packages."""
MOST_LAYERS = 125
"""What overlay2 can stack; every Docker version refuses one more with "max depth exceeded"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Something that changes as one: a package, the code, or packages that cannot be told apart.

    `key` stands for its bytes as they are to be: another key is other bytes. `size` is in bytes as they travel, `rate`
    in changes per day. `churn` is the share of its bytes that one change replaces, as far as known (1: all of them).
    """

    name: str
    key: str
    size: int
    rate: float = 0.0
    churn: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer: the names and keys of the parts in it, from the bottom up, and its size as it travels.

    A `patch` holds only what `steps` changes made of the one part in it, on top of a layer further down that holds the
    part, and maybe others, under the key `since`.
    """

    parts: tuple[tuple[str, str], ...]
    size: int
    since: str = ""
    steps: int = 0

    @property
    def is_patch(self) -> bool:
        return bool(self.since)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.parts)

    @property
    def id(self) -> tuple[str, ...]:
        """The same for the same bytes."""
        return (self.since, *(key for _, key in self.parts))

    @classmethod
    def of(cls, parts: Iterable[Part]) -> "Layer":
        """The layer that these parts make."""
        parts = tuple(parts)
        return cls(parts=tuple((part.name, part.key) for part in parts), size=sum(part.size for part in parts))


Stack = tuple[Layer, ...]
"""Layers from the bottom up, without those of the base image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What travelling costs.

    `classic` is the share of hosts that download again every layer above one that changed (Docker's graph drivers);
    the others download what they lack (the containerd store). A new order has to earn back within `payback` what it
    costs. `most` is how many layers there may be above the base's, and `fresh` how often a day a host is set up anew
    and downloads everything. `moved`: the layers come to lie on another base, and classic hosts download all of them
    this time, whichever they are.
    """

    classic: float = 1.0
    payback: timedelta = timedelta(days=90)
    most: int = MOST_LAYERS
    per_layer: int = PER_LAYER
    fresh: float = field(default=1 / 365)
    moved: bool = False

    @property
    def days(self) -> float:
        """`payback` in days."""
        return self.payback / timedelta(days=1)
