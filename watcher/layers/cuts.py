"""Where to cut an order of parts into layers, by dynamic programming over exactly what it costs."""

from collections.abc import Sequence
from itertools import accumulate, pairwise

from watcher.layers.part import Part, Terms

Groups = list[list[Part]]
"""Which parts share a layer, from the bottom up."""


def cut(ordered: Sequence[Part], terms: Terms) -> Groups:
    """The parts in this order, in the layers that cost the least; at most `terms.most` of them."""
    return [list(ordered[a:b]) for a, b in pairwise(_Cuts(ordered, terms).best())]


class _Cuts:
    """Where to cut an order. What a layer costs depends on its own parts alone, and on the sizes above it."""

    def __init__(self, parts: Sequence[Part], terms: Terms) -> None:
        self._count, self._classic, self._most = len(parts), terms.classic, max(terms.most, 1)
        self._rates = list(accumulate((part.rate for part in parts), initial=0.0))
        self._sizes = list(accumulate((part.size for part in parts), initial=0))
        self._per_layer = terms.per_layer * self._rates[-1]

    def best(self) -> list[int]:
        """Where the layers begin, and the end."""
        if not self._count:
            return [0]
        costs, starts = [0.0], [0]
        for end in range(1, self._count + 1):
            cost, start = min((costs[start] + self._cost(start, end), start) for start in range(end))
            costs.append(cost)
            starts.append(start)
        bounds = [self._count]
        while bounds[-1]:
            bounds.append(starts[bounds[-1]])
        return bounds[::-1] if len(bounds) - 1 <= self._most else self._limited()

    def _cost(self, start: int, end: int) -> float:
        """Of one layer with the parts from `start` to `end`, in bytes per day."""
        rate = self._rates[end] - self._rates[start]
        own, above = self._sizes[end] - self._sizes[start], self._sizes[-1] - self._sizes[end]
        return rate * (own + self._classic * above) + self._per_layer

    def _limited(self) -> list[int]:
        """The same with exactly as many layers as there may be: more would be cheaper, so none is left unused.

        The cost of a layer has the quadrangle inequality (rates and sizes are sums, and not negative), so the best
        start grows with the end, and each round needs n log n steps.
        """
        costs = [0.0] + [float("inf")] * self._count
        rounds: list[list[int]] = []
        for number in range(1, self._most + 1):
            fresh, starts = [float("inf")] * (self._count + 1), [0] * (self._count + 1)
            waiting = [(number, self._count, number - 1, self._count - 1)]
            while waiting:
                low, high, first, last = waiting.pop()
                if low > high:
                    continue
                end = (low + high) // 2
                fresh[end], starts[end] = min(
                    (costs[start] + self._cost(start, end), start) for start in range(first, min(last, end - 1) + 1)
                )
                waiting += [(low, end - 1, first, starts[end]), (end + 1, high, starts[end], last)]
            costs = fresh
            rounds.append(starts)
        bounds = [self._count]
        for starts in reversed(rounds):
            bounds.append(starts[bounds[-1]])
        return bounds[::-1]
