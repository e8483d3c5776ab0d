"""What a build will make anew, before it begins: which instruction each changed file enters at, and what follows."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from watcher.dockerfile.graph import Graph, Step
from watcher.dockerfile.layers import Layer, layers_of


class Fate(IntEnum):
    """What becomes of a step. OPEN: what it copies is made anew, and may turn out to be what it was."""

    KEPT = 0
    OPEN = 1
    REBUILT = 2


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A step, what becomes of it, and why. `size` is what its layer weighed in the previous image (bytes, compressed);
    None if it has none there, or if that is not known."""

    step: Step
    fate: Fate
    why: str
    size: int | None = None
    in_image: bool = False


@dataclass(frozen=True, slots=True)
class Prediction:
    """What becomes of each step. `entries`: for each changed file, the steps that it enters at.

    `least` and `most` are the bytes of layers that a host pulls which has the previous image, as far as that image
    tells: on a classic engine, everything from the lowest layer that is new.
    """

    steps: tuple[Foreseen, ...]
    entries: Mapping[str, tuple[Step, ...]]
    least: int
    most: int

    @property
    def rebuilt(self) -> tuple[Foreseen, ...]:
        """The steps that are made anew, or may be."""
        return tuple(one for one in self.steps if one.fate is not Fate.KEPT)

    @property
    def first(self) -> Foreseen | None:
        """The first step of the image itself that is made anew, or may be."""
        return next((one for one in self.steps if one.in_image and one.fate is not Fate.KEPT), None)


def predict(
    graph: Graph, known: Collection[str], changed: Collection[str] | None, layers: Sequence[Layer] = ()
) -> Prediction:
    """What becomes of each step of a build if the steps with the keys in `known` can be had from an earlier one.

    `changed` are the paths that differ from that earlier build's context (None: nobody knows), `layers` those of the
    image that it made, from the bottom up.
    """
    fates: list[Fate] = []
    whys: list[str] = []
    keys, moved = frozenset(known), frozenset(changed or ())
    for step in graph.steps:
        fate, why = _fate(step, graph.steps, fates, keys, moved, judged=changed is not None)
        fates.append(fate)
        whys.append(why)
    sizes = layers_of(graph, layers)
    inside = set(graph.image)
    foreseen = tuple(
        Foreseen(step, fate, why, sizes.get(number), number in inside)
        for number, (step, fate, why) in enumerate(zip(graph.steps, fates, whys, strict=True))
    )
    entries = {path: tuple(step for step in graph.steps if path in step.takes) for path in sorted(moved)}
    return Prediction(foreseen, entries, _pulled(foreseen, Fate.REBUILT), _pulled(foreseen, Fate.OPEN))


def _fate(
    step: Step,
    steps: Sequence[Step],
    fates: Sequence[Fate],
    known: frozenset[str],
    changed: frozenset[str],
    judged: bool,
) -> tuple[Fate, str]:
    if step.key in known:
        return Fate.KEPT, ""
    parent = fates[step.parent] if step.parent is not None else Fate.KEPT
    entering = sorted((step.takes | step.carries) & changed)
    if entering:
        return Fate.REBUILT, f"it takes {_some(entering)}"
    if parent is Fate.REBUILT and step.parent is not None:
        return Fate.REBUILT, f"line {steps[step.parent].instruction.first} is made anew"
    drawn = next((number for number in sorted(step.drawn) if fates[number] is not Fate.KEPT), None)
    if drawn is not None:
        return Fate.OPEN, f"it copies what line {steps[drawn].instruction.first} makes"
    if step.fickle:
        return Fate.OPEN, "it takes something from far away"
    if parent is Fate.OPEN and step.parent is not None:
        return Fate.OPEN, f"line {steps[step.parent].instruction.first} may be made anew"
    if step.instruction.keyword == "FROM":
        return Fate.REBUILT, f"the base image `{step.stage.base}` has moved"
    return Fate.REBUILT, "it reads otherwise, or its variables do" if judged else "it is new"


def _some(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(f"`{path}`" for path in paths[:3]) + more


def _pulled(foreseen: Iterable[Foreseen], at_least: Fate) -> int:
    """Bytes of all layers from the first one on whose fate is `at_least` this."""
    total, above = 0, False
    for one in foreseen:
        above = above or (one.in_image and one.fate >= at_least)
        total += (one.size or 0) if above and one.in_image else 0
    return total
