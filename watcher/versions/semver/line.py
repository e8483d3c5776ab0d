"""Composer's versions in their order: those that have a place among the numbers, and behind them the branches."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from watcher.versions.line import Line, Order
from watcher.versions.semver.constraint import Comparison, parse
from watcher.versions.semver.interval import cover
from watcher.versions.semver.version import NotComposer, is_branch, key, normalize


class ComposerLine(Line):
    """See `Line`. No branch is in a stretch of numbers, as none is for Composer; but what has no end is everything."""

    def __init__(self, versions: Iterable[str], scheme: Order) -> None:
        self._scheme = scheme
        normal = {version: normalize(version) for version in set(versions)}
        numbers = sorted((one for one in normal if not is_branch(normal[one])), key=lambda one: key(normal[one]))
        branches = sorted(one for one in normal if is_branch(normal[one]))
        self.versions = [*numbers, *branches]
        self._numbers = len(numbers)
        self._keys = [key(normal[one]) for one in numbers]
        self._places = {version: range(place, place + 1) for place, version in enumerate(self.versions)}
        self._branches = {normal[one]: self._places[one].start for one in branches}

    def span(self, introduced: str, fixed: str, last: str) -> range:
        if not (introduced or fixed or last):
            return range(len(self.versions))
        return range(self._before(introduced) if introduced else 0, self._end(fixed, last))

    def admitted(self, constraint: str) -> Iterator[range]:
        found = cover(parse(constraint))
        for interval in found.intervals:
            yield range(self._edge(interval.start), self._edge(interval.end))
        named = sorted(self._branches[name] for name in found.branches.names & self._branches.keys())
        if not found.branches.others:
            yield from (range(place, place + 1) for place in named)
            return
        start = self._numbers
        for place in (*named, len(self.versions)):
            yield range(start, place)
            start = place + 1

    def _end(self, fixed: str, last: str) -> int:
        return self._before(fixed) if fixed else self._after(last) if last else self._numbers

    def _edge(self, bound: Comparison) -> int:
        """Where an interval begins or ends: before the versions that are the bound's own, or behind them."""
        cut = bisect_left if bound.op in (">=", "<") else bisect_right
        return cut(self._keys, key(bound.version))

    def _before(self, version: str) -> int:
        return bisect_left(self._keys, _number(version))

    def _after(self, version: str) -> int:
        return bisect_right(self._keys, _number(version))


def _number(version: str) -> object:
    normal = normalize(version)
    if is_branch(normal):
        raise NotComposer("a version with a place among the numbers", version)
    return key(normal)
