"""What a build will make anew, before it begins: which instruction each changed file enters at, and what follows."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
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
class Cause:
    """Why a step is made anew: in words; by the number of the step that brings it about, if it is another one; and
    `itself`, if nothing that it takes has changed, but what it is: its words, its variables, the base that it names."""

    why: str = ""
    step: int | None = None
    itself: bool = False


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A step, what becomes of it, and why. `layer` is the one that it made in the previous image; None if it has none
    there, or if that is not known. Of a base that has moved it is what is new of it."""

    step: Step
    fate: Fate
    cause: Cause
    layer: Layer | None = None
    in_image: bool = False

    @property
    def why(self) -> str:
        return self.cause.why

    @property
    def size(self) -> int:
        """Bytes of that layer, compressed."""
        return self.layer.size if self.layer else 0


@dataclass(frozen=True, slots=True)
class Pull:
    """Bytes of layers that a host pulls which has the previous image: at least, and at most."""

    least: int = 0
    most: int = 0


@dataclass(frozen=True, slots=True)
class Prediction:
    """What becomes of each step. `entries`: for each changed file, the steps that it enters at.

    `classic` is what a host pulls whose engine downloads everything from the lowest layer on that is new, `containerd`
    one that keeps each layer for itself; both as far as the previous image tells.
    """

    steps: tuple[Foreseen, ...]
    entries: Mapping[str, tuple[Step, ...]]
    classic: Pull = Pull()
    containerd: Pull = Pull()

    @property
    def rebuilt(self) -> tuple[Foreseen, ...]:
        """The steps that are made anew, or may be."""
        return tuple(one for one in self.steps if one.fate is not Fate.KEPT)

    def pulled(self, share: float = 1.0) -> int:
        """Bytes that a host pulls at most, on average over hosts of which this share is classic."""
        return round(share * self.classic.most + (1 - share) * self.containerd.most)


def predict(
    graph: Graph, known: Collection[str], changed: Collection[str] | None, layers: Sequence[Layer] = ()
) -> Prediction:
    """What becomes of each step of a build if the steps with the keys in `known` can be had from an earlier one.

    `changed` are the paths that differ from that earlier build's context (None: nobody knows), `layers` those of the
    image that it made, from the bottom up.
    """
    fates: list[Fate] = []
    causes: list[Cause] = []
    keys, moved = frozenset(known), frozenset(changed or ())
    for step in graph.steps:
        fate, cause = _fate(step, graph.steps, fates, keys, moved, judged=changed is not None)
        fates.append(fate)
        causes.append(cause)
    placed, inside = {**layers_of(graph, layers), **_moved(graph, fates, layers)}, set(graph.image)
    foreseen = tuple(
        Foreseen(step, fate, cause, placed.get(number), number in inside)
        for number, (step, fate, cause) in enumerate(zip(graph.steps, fates, causes, strict=True))
    )
    entries = {path: tuple(step for step in graph.steps if path in step.takes) for path in sorted(moved)}
    image = [one for one in foreseen if one.in_image]
    return Prediction(foreseen, entries, _pull(image, classic=True), _pull(image, classic=False))


def _fate(
    step: Step,
    steps: Sequence[Step],
    fates: Sequence[Fate],
    known: frozenset[str],
    changed: frozenset[str],
    judged: bool,
) -> tuple[Fate, Cause]:
    if step.key in known:
        return Fate.KEPT, Cause()
    below = max(_below(step, steps), key=lambda number: fates[number], default=None)
    parent = fates[below] if below is not None else Fate.KEPT
    entering = sorted((step.takes | step.carries) & changed)
    if entering:
        return Fate.REBUILT, Cause(f"it takes {_some(entering)}")
    if parent is Fate.REBUILT and below is not None:
        return Fate.REBUILT, Cause(f"line {steps[below].instruction.first} is made anew", below)
    drawn = next((number for number in sorted(step.drawn) if fates[number] is not Fate.KEPT), None)
    if drawn is not None:
        return Fate.OPEN, Cause(f"it copies what line {steps[drawn].instruction.first} makes", drawn)
    if step.fickle:
        return Fate.OPEN, Cause("it takes something from far away")
    if parent is Fate.OPEN and below is not None:
        return Fate.OPEN, Cause(f"line {steps[below].instruction.first} may be made anew", below)
    if step.instruction.keyword == "FROM":
        return Fate.REBUILT, Cause(f"the base image `{step.stage.base}` has moved", itself=True)
    return Fate.REBUILT, Cause("it reads otherwise, or its variables do" if judged else "it is new", itself=True)


def _below(step: Step, steps: Sequence[Step]) -> Iterator[int]:
    """The steps that one depends on by standing on them: the one below, and what that is laid upon."""
    at = None if step.is_free else step.parent
    while at is not None:
        yield at
        at = steps[at].parent if steps[at].is_free else None


def _moved(graph: Graph, fates: Sequence[Fate], layers: Sequence[Layer]) -> Mapping[int, Layer]:
    """What is new of the base that the image stands on."""
    bottom = graph.image[0] if graph.image else 0
    step = graph.steps[bottom]
    if fates[bottom] is Fate.KEPT or step.base is None:
        return {}
    here = step.base.layers
    same = next(
        (n for n, (one, was) in enumerate(zip(here, layers, strict=False)) if one[0] != was.digest), len(layers)
    )
    return {bottom: Layer(step.said, sum(size for _, size in here[same:]))}


def _some(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(f"`{path}`" for path in paths[:3]) + more


def _pull(image: Sequence[Foreseen], *, classic: bool) -> Pull:
    """`image` are the steps that it consists of, from the bottom up."""

    def total(fresh: Callable[[Foreseen], bool]) -> int:
        lowest = next((number for number, one in enumerate(image) if fresh(one)), len(image))
        return sum(one.size for one in image[lowest:] if classic or fresh(one))

    return Pull(total(_is_surely_new if not classic else _is_rebuilt), total(lambda one: one.fate is not Fate.KEPT))


def _is_rebuilt(one: Foreseen) -> bool:
    return one.fate is Fate.REBUILT


def _is_surely_new(one: Foreseen) -> bool:
    """Files that are copied again only because of what is below them make the layer that they made."""
    is_copied_again = one.step.instruction.keyword in ("COPY", "ADD") and one.cause.step is not None
    return _is_rebuilt(one) and not is_copied_again
