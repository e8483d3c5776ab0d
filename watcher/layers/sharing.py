"""Which parts share a layer. Smith's rule says how layers lie, and not which parts should be in one of them."""

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate

from watcher.layers.cuts import Groups
from watcher.layers.part import Part, Terms

FEW = 8
"""Parts of which all ways are tried: 3⁸ steps."""

_SWEEPS = 20
_WORTH = 1e-9


def best_of_all(parts: Sequence[Part], terms: Terms) -> Groups:
    """The cheapest of all ways to put few parts into layers: by dynamic programming over what lies below."""
    count, most = len(parts), max(min(terms.most, len(parts)), 1)
    sizes = [sum(part.size for n, part in enumerate(parts) if mask >> n & 1) for mask in range(1 << count)]
    rates = [sum(part.rate for n, part in enumerate(parts) if mask >> n & 1) for mask in range(1 << count)]
    per_layer, whole = terms.per_layer * rates[-1], sizes[-1]

    def cost(layer: int, below: int) -> float:
        own, above = sizes[layer], whole - sizes[layer] - sizes[below]
        return rates[layer] * (own + terms.classic * above) + per_layer

    # By the layers so far, and then by what is in them: what it costs, and what the highest of them holds.
    rows: list[dict[int, tuple[float, int]]] = [{0: (0.0, 0)}]
    for _ in range(most):
        row: dict[int, tuple[float, int]] = {}
        for below, (spent, _top) in rows[-1].items():
            for layer in _within((1 << count) - 1 & ~below):
                found = spent + cost(layer, below)
                if below | layer not in row or found < row[below | layer][0]:
                    row[below | layer] = found, layer
        rows.append(row)
    every = (1 << count) - 1
    number = min((n for n, row in enumerate(rows) if every in row), key=lambda n: (rows[n][every][0], n))
    return [[part for n, part in enumerate(parts) if layer >> n & 1] for layer in _walked(rows[: number + 1], every)]


def _within(mask: int) -> Iterator[int]:
    """What can be taken of these, but nothing."""
    some = mask
    while some:
        yield some
        some = some - 1 & mask


def _walked(rows: Sequence[dict[int, tuple[float, int]]], mask: int) -> list[int]:
    layers = []
    for row in reversed(rows[1:]):
        layers.append(row[mask][1])
        mask &= ~row[mask][1]
    return layers[::-1]


def improved(groups: Groups, terms: Terms) -> Groups:
    """The groups, in which no layer is better off as a part of another one, and no part anywhere else."""
    filling = _Filling(groups, terms)
    for _ in range(_SWEEPS):
        units = dict.fromkeys([*((part,) for group in filling.layers for part in group), *map(tuple, filling.layers)])
        # All of them are tried, and not only until one has moved.
        if not sum(filling.moves(unit) for unit in units):
            break
    return filling.layers


class _Filling:
    """Layers from the bottom up while parts are moved between them."""

    def __init__(self, groups: Groups, terms: Terms) -> None:
        self._terms, self._per_layer = terms, terms.per_layer * sum(map(_rate, groups))
        self._lay(groups)

    def _lay(self, groups: Groups) -> None:
        self.layers = by_heat(groups)
        self._sizes, self._rates = [_size(layer) for layer in self.layers], [_rate(layer) for layer in self.layers]
        self._smallest, self._coldest = sorted(self._sizes)[:2], sorted(self._rates)[:2]
        self._home = {part.name: n for n, layer in enumerate(self.layers) for part in layer}

    def moves(self, unit: Sequence[Part]) -> bool:
        """Moves what lies in one layer to where it is cheapest; whether that is another place."""
        homes, names = {self._home[part.name] for part in unit}, {part.name for part in unit}
        if len(homes) > 1:
            return False
        (home,) = homes
        if len(names) == len(self.layers[home]) and self._is_out_of_reach(home):
            return False
        left = [part for part in self.layers[home] if part.name not in names]
        here = slice(home, home + 1)
        rest, sizes, rates = list(self.layers), list(self._sizes), list(self._rates)
        rest[here], sizes[here], rates[here] = ([left], [_size(left)], [_rate(left)]) if left else ([], [], [])
        together, alone = self._costs(sizes, rates, _size(unit), _rate(unit))
        now = together[home] if left else alone[home]
        choices = [(cost, n, True) for n, cost in enumerate(together)]
        if len(rest) < self._terms.most:
            choices += [(cost, n, False) for n, cost in enumerate(alone)]
        cost, place, joins = min(choices)
        if cost >= now - _WORTH * abs(now):
            return False
        rest[place : place + joins] = [[*rest[place], *unit]] if joins else [list(unit)]
        self._lay(rest)
        return True

    def _is_out_of_reach(self, home: int) -> bool:
        """Whether no layer can be better off with all of this one in it.

        With a layer of the size S and the rate P it would share what the changes of both send: more than what a layer
        costs by itself, if rate · S or size · P is. It lies where it is cheapest already, by Smith's rule.
        """
        size, rate = self._sizes[home], self._rates[home]
        # The least of the others: where it is the least of all itself, that is the next one.
        smallest = self._smallest[size == self._smallest[0]] if self._smallest[1:] else 0
        coldest = self._coldest[rate == self._coldest[0]] if self._coldest[1:] else 0.0
        return max(rate * smallest, size * coldest) >= self._per_layer

    def _costs(
        self, sizes: Sequence[int], rates: Sequence[float], size: int, rate: float
    ) -> tuple[list[float], list[float]]:
        """What something costs in each of the layers, and as one of its own below each of them or on top."""
        below, above = list(accumulate(rates, initial=0.0)), list(accumulate(reversed(sizes), initial=0))[::-1]
        classic, own = self._terms.classic, rate * size
        alone = [
            own + classic * (rate * up + size * down) + self._per_layer for up, down in zip(above, below, strict=True)
        ]
        together = [
            own + rate * sizes[n] + size * rates[n] + classic * (rate * above[n + 1] + size * below[n])
            for n in range(len(sizes))
        ]
        return together, alone


def by_heat(groups: Groups) -> Groups:
    """The layers as they should lie, by Smith's rule."""
    return sorted(groups, key=lambda group: heat(_rate(group), _size(group)))


def heat(rate: float, size: int) -> float:
    """How high something belongs that changes so often and is so large."""
    if not size:
        return math.inf if rate else 0.0
    return rate / size


def _size(group: Sequence[Part]) -> int:
    return sum(part.size for part in group)


def _rate(group: Sequence[Part]) -> float:
    return sum(part.rate for part in group)
