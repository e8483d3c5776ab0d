"""What a constraint covers: intervals of numbers, and branches by name."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, reduce

from watcher.versions.semver.constraint import ZERO, Comparison, Constraint
from watcher.versions.semver.version import Key, is_branch, key

_INFINITY = Comparison("<", f"{(1 << 63) - 1}.0.0.0")
_AT_ONE_PLACE = {">=": -3, "<": -2, ">": 2, "<=": 3}
"""In which order bounds with the same version stand on the line of versions."""


@dataclass(frozen=True, slots=True)
class Interval:
    """All numbers from `start` (`>` or `>=`) to `end` (`<` or `<=`)."""

    start: Comparison = ZERO
    end: Comparison = _INFINITY


@dataclass(frozen=True, slots=True)
class Branches:
    """The branches with these names; with `others`, all but those."""

    names: frozenset[str] = field(default=frozenset())
    others: bool = False

    def __or__(self, more: "Branches") -> "Branches":
        match self.others, more.others:
            case False, False:
                return Branches(self.names | more.names)
            case True, True:
                return Branches(self.names & more.names, others=True)
            case True, False:
                return Branches(self.names - more.names, others=True)
        return more | self

    def __and__(self, more: "Branches") -> "Branches":
        match self.others, more.others:
            case False, False:
                return Branches(self.names & more.names)
            case True, True:
                return Branches(self.names | more.names, others=True)
            case True, False:
                return Branches(more.names - self.names)
        return more & self


_NO_BRANCH, _EVERY_BRANCH = Branches(), Branches(others=True)


@dataclass(frozen=True, slots=True)
class Cover:
    """What is covered: intervals in rising order, no two of which touch, and branches."""

    intervals: tuple[Interval, ...]
    branches: Branches


@lru_cache(maxsize=4_096)
def cover(constraint: Constraint) -> Cover:
    """What a constraint covers."""
    return _union([_intersection([_of(bound) for bound in bounds]) for bounds in constraint.any_of])


def is_subset(inner: Constraint, outer: Constraint) -> bool:
    """Whether `outer` accepts all that `inner` does."""
    mine = cover(inner)
    return outer.is_everything or _intersection([mine, cover(outer)]) == mine


def _of(bound: Comparison) -> Cover:
    if is_branch(bound.version):
        if bound.op == "!=":
            return Cover((Interval(),), Branches(frozenset({bound.version}), others=True))
        # No branch is above or below another, so such a bound covers nothing.
        return Cover((), Branches(frozenset({bound.version})) if bound.op == "==" else _NO_BRANCH)
    if bound.op == "!=":
        below, above = Comparison("<", bound.version), Comparison(">", bound.version)
        return Cover((Interval(end=below), Interval(start=above)), _EVERY_BRANCH)
    if bound.op == "==":
        return Cover((Interval(Comparison(">=", bound.version), Comparison("<=", bound.version)),), _NO_BRANCH)
    return Cover((Interval(start=bound) if bound.op[0] == ">" else Interval(end=bound),), _NO_BRANCH)


def _union(covers: Sequence[Cover]) -> Cover:
    branches = reduce(Branches.__or__, (one.branches for one in covers), _NO_BRANCH)
    return Cover(_swept(covers, 1), branches)


def _intersection(covers: Sequence[Cover]) -> Cover:
    if not covers:
        return Cover((Interval(),), _EVERY_BRANCH)
    branches = reduce(Branches.__and__, (one.branches for one in covers), _EVERY_BRANCH)
    return Cover(_swept(covers, len(covers)), branches)


def _swept(covers: Sequence[Cover], enough: int) -> tuple[Interval, ...]:
    """Where at least `enough` covers hold, walking along the line of versions."""
    if len(covers) == 1:
        return covers[0].intervals
    found: list[Interval] = []
    start, holding = None, 0
    for bound, opens in sorted(_borders(covers), key=lambda border: _place(border[0])):
        holding += 1 if opens else -1
        if start is None and holding >= enough:
            start = bound
        elif start is not None and holding < enough:
            if not _is_empty(start, bound):
                found.append(Interval(start, bound))
            start = None
    return tuple(found)


def _borders(covers: Iterable[Cover]) -> Iterable[tuple[Comparison, bool]]:
    for interval in (interval for one in covers for interval in one.intervals):
        yield interval.start, True
        yield interval.end, False


def _place(bound: Comparison) -> tuple[Key, int]:
    return key(bound.version), _AT_ONE_PLACE[bound.op]


def _is_empty(start: Comparison, end: Comparison) -> bool:
    """Whether an interval at one place is none: `> x, <= x` and `>= x, < x`."""
    return (start.op, end.op) in ((">", "<="), (">=", "<")) and key(start.version) == key(end.version)
