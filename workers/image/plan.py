"""Which layers an image has, and in which order: the planner's choice, in the builder's words.

The plan is kept nowhere but in the image itself: its manifest says of each layer what is in it, and under which key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from watcher.layers.choice import Choice, Kind, choose
from watcher.layers.part import CODE, VENV, Layer, Part, Stack, Terms
from watcher.layers.price import price
from watcher.layers.rate import CODE_PRIOR, PACKAGE_PRIOR
from workers.image.component import AUTOLOADER, Component, key_of

_PRIORS = {VENV: 0.0, CODE: CODE_PRIOR.changes / CODE_PRIOR.days}
_PRIOR = PACKAGE_PRIOR.changes / PACKAGE_PRIOR.days


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
        return group_key([component.key for component in self.components])


def group_key(keys: Sequence[str]) -> str:
    """The key of a layer in which components with these keys lie, from the bottom up."""
    return keys[0] if len(keys) == 1 else key_of({"group": list(keys)})


@dataclass(frozen=True, slots=True)
class Found:
    """A layer as an image tells of it: the names of its components, its key, and its size as it travels."""

    names: tuple[str, ...]
    key: str
    size: int


def stack(found: Sequence[Found], components: Sequence[Component]) -> Stack:
    """The layers of an image, in which components that are the same now have the key that they have now."""
    keys = {component.name: component.key for component in components}
    return tuple(_layer(one, keys) for one in found)


def _layer(found: Found, keys: Mapping[str, str]) -> Layer:
    now = [keys.get(name, "") for name in found.names]
    if len(now) > 1 and group_key(now) != found.key:
        # Which of them has changed, nobody can tell, and it makes no difference: their layer has.
        now = [f"{found.key}/{name}" for name in found.names]
    return Layer(parts=tuple(zip(found.names, now if len(now) > 1 else [found.key], strict=True)), size=found.size)


def arrange(
    components: Sequence[Component],
    sizes: Mapping[str, int],
    rates: Mapping[str, float],
    before: Stack,
    terms: Terms,
    *,
    again: bool = False,
) -> Choice:
    """The layers for these components on hosts that have `before`.

    `sizes` are in bytes as they travel, by the names of components. `rates` are in changes per day; what has none is
    taken to change as the others of its kind do. `again`: `before` is of the same commit, and stays if it can.
    """
    often = known_rates(rates, components)
    parts = [Part(name=one.name, key=one.key, size=sizes[one.name], rate=often[one.name]) for one in components]
    had = sorted(pair for layer in before for pair in layer.parts)
    if again and had == sorted((part.name, part.key) for part in parts) and len(before) <= terms.most:
        return Choice(kind=Kind.SPLICE, stack=before, price=price(before, before, parts, terms), rejected={})
    return choose(before, parts, terms, {})


def known_rates(rates: Mapping[str, float], components: Sequence[Component]) -> dict[str, float]:
    """A rate for each component: the known one, or the one that is usual for its kind."""
    often = {one.name: rates.get(one.name, _PRIORS.get(one.name, _PRIOR)) for one in components}
    if AUTOLOADER in often:
        # What Composer writes names every package of the lock.
        often[AUTOLOADER] = sum(rate for name, rate in often.items() if name.startswith("packagist:"))
    return often


def groups(chosen: Stack, components: Sequence[Component]) -> tuple[Group, ...]:
    """The components as a stack lays them."""
    by_name = {component.name: component for component in components}
    return tuple(Group(tuple(by_name[name] for name in layer.names)) for layer in chosen)


def room(terms: Terms, layers: int) -> Terms:
    """The terms above a base that has so many layers."""
    return replace(terms, most=terms.most - layers)
