"""What becomes of an image's layers when some of its parts have changed: the cheapest of everything that can be done.

*Splice*: each part stays where it is, and the layers of those that changed are made again. *Append*: what changed in a
part is put on top as a patch, and its layer stays what hosts have. *Re-plan*: everything is laid anew in the best
order. A stack is only ever left for one that is worth what the way there costs every host.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import accumulate

from watcher.layers.order import plan
from watcher.layers.part import Layer, Part, Stack, Terms
from watcher.layers.price import Price, cycle, kept, patch_size, price

WORTH = 32 * 1024
"""Bytes per host that a patch has to promise before somebody reads the old layer to see how large it would be."""


class Kind(StrEnum):
    """How a stack came to be."""

    FIRST = "first"
    SPLICE = "splice"
    APPEND = "append"
    REPLAN = "re-plan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The layers to make, and what they cost; `rejected` are the prices of what else could have been done."""

    kind: Kind
    stack: Stack
    price: Price
    rejected: Mapping[Kind, Price]


def choose(before: Stack, parts: Sequence[Part], terms: Terms, patches: Mapping[str, int]) -> Choice:
    """The cheapest stack for `parts` on hosts that have `before`.

    `patches` are the sizes of patches from what the layers of `before` hold to the parts as they are to be, by name;
    parts that are not in it are never patched.
    """
    options = [
        (kind, stack, price(before, stack, parts, terms)) for kind, stack in _options(before, parts, terms, patches)
    ]
    kind, stack, cost = min(options, key=lambda option: option[2].total)
    rejected: dict[Kind, Price] = {}
    for other, _, alternative in options:
        if other is not kind and (other not in rejected or alternative.total < rejected[other].total):
            rejected[other] = alternative
    return Choice(kind=kind, stack=stack, price=cost, rejected=rejected)


def worth_patching(before: Stack, parts: Sequence[Part], terms: Terms) -> tuple[str, ...]:
    """The parts that could be cheaper as a patch, if their patches are as small as may be; from the bottom up."""
    changed = _changed(before, parts)
    if not changed:
        return ()
    spliced = price(before, _spliced(before, parts, terms), parts, terms).total
    patches = {layer.names[0]: layer for layer in before if layer.is_patch}
    by_name = {part.name: part for part in parts}
    found: list[str] = []
    for names in changed:
        least = {name: _least(by_name[name], patches.get(name)) for name in names}
        if spliced - price(before, _appended(before, parts, terms, least), parts, terms).total > WORTH:
            found += names
    return tuple(found)


def _least(part: Part, patch: Layer | None) -> int:
    """Bytes that the next patch of a part may be expected to have at least.

    Where it is known how much a change replaces, that is what to expect; elsewhere it could be next to nothing.
    """
    had = patch.size if patch else 0
    if part.churn == 1:
        return had
    return max(had, round(patch_size(part, patch.steps + 1 if patch else 1)))


def _options(
    before: Stack, parts: Sequence[Part], terms: Terms, patches: Mapping[str, int]
) -> Iterator[tuple[Kind, Stack]]:
    """Everything that can be done, what is left alone first."""
    anew = plan(settled(parts, terms), terms)
    if not before:
        yield Kind.FIRST, anew
        return
    spliced = _spliced(before, parts, terms)
    # A layer that is spliced sends all above it again: to patch one makes sense only with those below it.
    whole = [names for names in _changed(before, parts) if patches.keys() >= set(names)]
    appended = (
        _appended(before, parts, terms, {name: patches[name] for names in whole[:count] for name in names})
        for count in range(1, len(whole) + 1)
    )
    for kind, stack in ((Kind.SPLICE, spliced), *((Kind.APPEND, stack) for stack in appended)):
        if len(stack) <= terms.most:
            yield kind, stack
    yield Kind.REPLAN, anew


def settled(parts: Sequence[Part], terms: Terms) -> list[Part]:
    """The parts as often as their own layers change: what is patched lies still in between."""
    return [replace(part, rate=part.rate / cycle(part, terms)) if part.churn < 1 else part for part in parts]


def _changed(before: Stack, parts: Sequence[Part]) -> list[list[str]]:
    """The names of parts that have changed, by the layer that they are in, from the bottom up."""
    wanted = {part.name: part.key for part in parts}
    now = dict(pair for layer in before for pair in layer.parts)  # a patch is above its layer
    rows = [
        [name for name in layer.names if name in wanted and wanted[name] != now[name]]
        for layer in before
        if not layer.is_patch
    ]
    return [names for names in rows if names]


def _spliced(before: Stack, parts: Sequence[Part], terms: Terms) -> Stack:
    return _appended(before, parts, terms, {})


def _appended(before: Stack, parts: Sequence[Part], terms: Terms, patches: Mapping[str, int]) -> Stack:
    """The stack with the parts in `patches` patched, all others that have changed in their places, and new ones."""
    wanted = {part.name: part for part in parts}
    last = {layer.names[0]: layer for layer in before if layer.is_patch}
    right = {name for name, patch in last.items() if name in wanted and wanted[name].key == patch.parts[0][1]}
    frozen = {name for layer in before for name in _frozen(layer, wanted, {*right, *patches})}
    kept = right & frozen - patches.keys()
    stack = tuple(
        layer
        for old in before
        if (layer := _kept(old, wanted, frozen) if not old.is_patch else old if old.names[0] in kept else None)
    )
    homes = {name: key for layer in stack if not layer.is_patch for name, key in layer.parts}
    rates = {part.name: part.rate for part in settled(parts, terms)}
    for name, size in sorted((name, size) for name, size in patches.items() if name in frozen):
        steps = last[name].steps + 1 if name in last else 1
        fresh = Layer(parts=((name, wanted[name].key),), size=size, since=homes[name], steps=steps)
        lowest = next(n for n, layer in enumerate(stack) if name in layer.names) + 1
        stack = _inserted(before, stack, fresh, lowest, rates, terms)
    for part in parts:
        if part.name not in homes:
            stack = _inserted(before, stack, Layer.of([part]), 0, rates, terms)
    return stack


def _frozen(layer: Layer, wanted: Mapping[str, Part], patched: Collection[str]) -> Collection[str]:
    """The parts of a layer that stay in it as they were, because patches make them what they are to be.

    A layer that has to be made anyway holds all of its parts as they are to be.
    """
    left = {name for name, key in layer.parts if name not in wanted or wanted[name].key != key}
    return left if not layer.is_patch and left <= set(patched) else ()


def _kept(layer: Layer, wanted: Mapping[str, Part], frozen: Collection[str]) -> Layer | None:
    """The layer with its parts as they are to be, but for those that are frozen as they were; None without any."""
    left = tuple((name, key if name in frozen else wanted[name].key) for name, key in layer.parts if name in wanted)
    if left == layer.parts:
        return layer
    return replace(layer, parts=left, size=sum(wanted[name].size for name, _ in left)) if left else None


def _inserted(
    before: Stack, stack: Stack, layer: Layer, lowest: int, rates: Mapping[str, float], terms: Terms
) -> Stack:
    """The stack with a layer more, where it is cheapest; not below `lowest`, and as high as possible."""
    same = kept(before, stack, terms)
    heights = list(accumulate((one.size for one in reversed(stack)), initial=0))[::-1]
    below = list(accumulate((sum(rates[name] for name in one.names) for one in stack), initial=0.0))
    rate = sum(rates[name] for name in layer.names)

    def cost(place: int) -> float:
        now = heights[min(place, same)]
        return now + terms.days * (layer.size * below[place] + rate * heights[place])

    place = min(range(len(stack), lowest - 1, -1), key=cost)
    return (*stack[:place], layer, *stack[place:])
