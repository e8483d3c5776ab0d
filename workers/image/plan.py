"""Which layers an image has, and in which order: the planner's choice, in the builder's words.

The plan is kept nowhere but in the image itself: its manifest says of each layer what is in it, and under which key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from watcher.layers.choice import Choice, Kind, choose
from watcher.layers.part import CODE, VENV, Layer, Part, Stack, Terms
from watcher.layers.price import price
from watcher.layers.rate import CODE_PRIOR, PACKAGE_PRIOR
from workers.image.component import AUTOLOADER, SHARED, Component, key_of

_PRIORS = {VENV: 0.0, CODE: CODE_PRIOR.changes / CODE_PRIOR.days}
_PRIOR = PACKAGE_PRIOR.changes / PACKAGE_PRIOR.days


@dataclass(frozen=True, slots=True)
class Group:
    """The layer of the components that share it, from the bottom up; most often it is one. `key` is the layer's, `keys`
    are those that the components have in it.

    A patch of `steps` changes lies above a layer that has the component under the key `since`. A layer that only serves
    to lie below patches has no components: what it holds is no longer wanted as it is.
    """

    components: tuple[Component, ...]
    key: str
    keys: tuple[str, ...]
    since: str = ""
    steps: int = 0

    @property
    def name(self) -> str:
        return " ".join(map(str, self.components))


def group_key(keys: Sequence[str]) -> str:
    """The key of a layer in which components with these keys lie, from the bottom up."""
    return keys[0] if len(keys) == 1 else key_of({"group": list(keys)})


def patch_key(since: str, key: str) -> str:
    """The key of the patch that makes a component with the one key a component with the other."""
    return key_of({"patch": [since, key]})


@dataclass(frozen=True, slots=True)
class Found:
    """A layer as an image tells of it: the names of its components, its key, and its size as it travels.

    `keys` are those of the components, if they are known. One that is a patch tells `since` which key, and of how many
    `steps`.
    """

    names: tuple[str, ...]
    key: str
    size: int
    keys: tuple[str, ...] = ()
    since: str = ""
    steps: int = 0


def stack(found: Sequence[Found], components: Sequence[Component]) -> Stack:
    """The layers of an image, in which components that are the same now have the key that they have now."""
    keys = {component.name: component.key for component in components}
    # What settles whose files count is always on top, and is not planned.
    return tuple(_layer(one, keys) for one in found if one.names != (SHARED,))


def _layer(found: Found, keys: Mapping[str, str]) -> Layer:
    now = tuple(keys.get(name, "") for name in found.names)
    same = patch_key(found.since, now[0]) if found.since else group_key(now)
    if same != found.key:
        # Where nobody can tell which of them have changed, it makes no difference: their layer has.
        now = found.keys if len(found.keys) == len(now) else tuple(f"{found.key}/{name}" for name in found.names)
    parts = tuple(zip(found.names, now, strict=True))
    return Layer(parts=parts, size=found.size, since=found.since, steps=found.steps)


def parts(
    components: Sequence[Component],
    sizes: Mapping[str, int],
    rates: Mapping[str, float],
    churn: Mapping[str, float],
) -> list[Part]:
    """The components as the planner knows them; all the mappings are by name.

    `sizes` are in bytes as they travel. `rates` are in changes per day; what has none is taken to change as the others
    of its kind do. `churn` is the share that a change replaces, for those of which it is known.
    """
    often = known_rates(rates, components)
    return [
        Part(name=one.name, key=one.key, size=sizes[one.name], rate=often[one.name], churn=churn.get(one.name, 1.0))
        for one in components
    ]


def stays(before: Stack, parts: Sequence[Part], terms: Terms) -> bool:
    """Whether the layers hold exactly these parts already."""
    had = dict(pair for layer in before for pair in layer.parts)  # a patch is above its layer
    return had == {part.name: part.key for part in parts} and len(before) <= terms.most


def arrange(
    parts: Sequence[Part], before: Stack, terms: Terms, patches: Mapping[str, int], *, again: bool = False
) -> Choice:
    """The layers for these parts on hosts that have `before`; `patches` are the sizes of those that could be made.

    `again`: `before` is of the same commit, and stays if it can.
    """
    if again and stays(before, parts, terms):
        return Choice(kind=Kind.SPLICE, stack=before, price=price(before, before, parts, terms), rejected={})
    return choose(before, parts, terms, patches)


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
    return tuple(_group(layer, [by_name[name] for name in layer.names]) for layer in chosen)


def _group(layer: Layer, components: Sequence[Component]) -> Group:
    keys = tuple(key for _, key in layer.parts)
    if layer.is_patch:
        return Group(tuple(components), patch_key(layer.since, keys[0]), keys, layer.since, layer.steps)
    wanted = keys == tuple(component.key for component in components)
    return Group(tuple(components) if wanted else (), group_key(keys), keys)


def room(terms: Terms, layers: int) -> Terms:
    """The terms above a base that has so many layers. One is kept free for what settles files that packages share."""
    return replace(terms, most=terms.most - layers - 1)
