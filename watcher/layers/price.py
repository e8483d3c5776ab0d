"""What layers cost a host in bytes: now, and from now on.

How long "from now on" is, nobody knows; it is taken to end by chance, on average after `Terms.payback`. Then of a part
that changes `n` times in that time on average, each next change comes with the chance n / (n + 1), and what all of
them together cost has a closed form.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from watcher.layers.part import Layer, Part, Terms

_LONGEST = 64
"""Patches in a row after which a part is laid anew at the latest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Bytes per host: `now` to get to these layers, `daily` to follow their changes, `whole` for a host with nothing.

    `total` is what all of it comes to until the pay-back time is over.
    """

    now: float
    daily: float
    whole: int
    total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """The next changes of one part: what it sends if `spliced` into its layer, and with the `patch` that it has now.

    `steps` are the changes in that patch (0: there is none), and `top` is what lies above it.
    """

    part: Part
    spliced: float
    steps: int = 0
    top: float = 0.0
    patchable: bool = False

    def patched(self, steps: int) -> float:
        """What a patch of so many changes sends."""
        return patch_size(self.part, steps) + self.top


def price(before: Sequence[Layer], after: Sequence[Layer], parts: Iterable[Part], terms: Terms) -> Price:
    """The price of going from the layers `before` to `after`, with the parts as they are to be."""
    now = pulled(before, after, terms)
    daily, whole = expected(after, parts, terms), sum(layer.size for layer in after)
    total = now + terms.days * (daily + terms.fresh * whole)
    return Price(now=now, daily=daily, whole=whole, total=total)


def pulled(before: Sequence[Layer], after: Sequence[Layer], terms: Terms) -> float:
    """The bytes that a host which has the layers `before` downloads for `after`, with manifest and configuration."""
    known = {layer.id for layer in before}
    above = sum(layer.size for layer in after[kept(before, after, terms) :])
    lacking = sum(layer.size for layer in after if layer.id not in known)
    return terms.classic * above + (1 - terms.classic) * lacking + terms.per_layer * len(after)


def kept(before: Sequence[Layer], after: Sequence[Layer], terms: Terms) -> int:
    """How many layers, from the bottom up, a classic host does not download again."""
    if terms.moved:
        return 0
    pairs = enumerate(zip(before, after, strict=False))
    return next((n for n, (old, new) in pairs if old.id != new.id), min(len(before), len(after)))


def expected(stack: Sequence[Layer], parts: Iterable[Part], terms: Terms) -> float:
    """The bytes that a host downloads per day to follow the changes of the parts."""
    overhead = terms.per_layer * len(stack)
    return sum(
        move.part.rate * overhead
        + (ahead(move, terms) / terms.days if move.patchable else move.part.rate * move.spliced)
        for move in moves(stack, parts, terms)
    )


def next_costs(stack: Sequence[Layer], parts: Iterable[Part], terms: Terms) -> Mapping[str, float]:
    """What the next change of each part sends to a host, by the part's name."""
    overhead = terms.per_layer * len(stack)
    return {
        move.part.name: overhead + (min(move.spliced, move.patched(move.steps + 1)) if move.patchable else move.spliced)
        for move in moves(stack, parts, terms)
    }


def moves(stack: Sequence[Layer], parts: Iterable[Part], terms: Terms) -> Iterator[Move]:
    """How each part would move next."""
    above, heights = 0, []
    for layer in reversed(stack):
        heights.append(above)
        above += layer.size
    heights.reverse()
    homes = {name: n for n, layer in enumerate(stack) if not layer.is_patch for name in layer.names}
    patches = {layer.names[0]: n for n, layer in enumerate(stack) if layer.is_patch}
    for part in parts:
        home, patch = homes[part.name], patches.get(part.name)
        # What is laid anew needs its patches no more.
        gone = sum(stack[patches[name]].size for name in stack[home].names if name in patches)
        yield Move(
            part=part,
            spliced=stack[home].size + terms.classic * (heights[home] - gone),
            steps=stack[patch].steps if patch is not None else 0,
            top=terms.classic * heights[patch] if patch is not None else 0.0,
            patchable=part.churn < 1,
        )


def ahead(move: Move, terms: Terms) -> float:
    """The bytes that all changes of a part send from now on: patches for a while, then a splice, over and over.

    It is the cheapest way of doing so. Patches hold everything since the last splice, so they grow.
    """
    again = _cycle(move, terms)[1]
    chance = _chance(move.part, terms)
    best, sent, weight = math.inf, 0.0, chance
    for steps in range(move.steps + 1, move.steps + _LONGEST):
        best = min(best, sent + weight * (move.spliced + again))
        sent += weight * move.patched(steps)
        weight *= chance
        if sent >= best:  # and it only grows
            break
    return best


def cycle(part: Part, terms: Terms) -> int:
    """After how many changes it is best to lay a part anew, if nothing lies above it; 1: with each."""
    return _cycle(Move(part=part, spliced=part.size, patchable=True), terms)[0]


@lru_cache(maxsize=4096)
def _cycle(move: Move, terms: Terms) -> tuple[int, float]:
    """After how many changes it is best to splice, from a layer without a patch; and what all changes then send."""
    chance = _chance(move.part, terms)
    best, least, sent, weight = 1, math.inf, 0.0, chance
    for steps in range(1, _LONGEST):
        cost = (sent + weight * move.spliced) / (1.0 - weight)
        if cost < least * (1.0 - 1e-9):
            best, least = steps, cost
        sent += weight * move.patched(steps)
        weight *= chance
        if sent >= least:
            break
    return best, least


def _chance(part: Part, terms: Terms) -> float:
    count = part.rate * terms.days
    return count / (count + 1.0)


def patch_size(part: Part, steps: float) -> float:
    """How large a patch of so many changes is, if each replaces the same share of the part, and any of it."""
    return part.size * (1.0 - math.pow(1.0 - part.churn, steps))


def churn_of(part_size: int, patch: int, steps: int) -> float:
    """The share that one change replaces, from the size of a patch of `steps` changes."""
    return 1.0 - math.pow(1.0 - min(patch / max(part_size, 1), 1.0), 1.0 / max(steps, 1))
