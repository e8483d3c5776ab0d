"""What a build made anew that it should not have: by what BuildKit reported, and by what had changed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from watcher.dockerfile.about import Read, is_about
from watcher.dockerfile.install import installs
from watcher.dockerfile.layers import Layer
from watcher.dockerfile.predict import Fate, Foreseen, Prediction
from watcher.units import size


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is not what it was in the build before: which `files` of the context, and whether the Dockerfile is among
    them (`edited`). `read` gives the text of a file as it is now."""

    files: Collection[str]
    edited: bool = False
    read: Read = lambda _: None


def verify(
    prediction: Prediction, worked: Mapping[str, bool], changes: Changes | None, made: Mapping[int, Layer] | None = None
) -> tuple[str, ...]:
    """A sentence for each instruction that made a rebuild wider than it had to be, the worst first.

    `worked` tells of each label of BuildKit whether it was really done, `changes` what had changed (None: nobody knows,
    and there may have been no build before), and `made` which layers the image has now, by the numbers of the steps.
    """
    lost = _lost(prediction.steps, worked)
    found = {**_needless(prediction.steps, worked, changes), **lost} if changes else lost
    others = _others(prediction.steps, worked, made or {})
    return tuple(text for _, text in sorted((*found.values(), *others), key=lambda row: -row[0]))


_Said = tuple[int, str]
"""Bytes, and what is said about them."""


def _lost(steps: Sequence[Foreseen], worked: Mapping[str, bool]) -> dict[int, _Said]:
    """The lowest step that was to be kept, and was not."""
    lost = [number for number, one in enumerate(steps) if one.fate is Fate.KEPT and worked.get(one.step.label)]
    # Of a base BuildKit only says that it has fetched it, and of what stands on nothing that it laid it there again.
    lost = [n for n in lost if steps[n].step.instruction.keyword != "FROM" and not steps[n].step.is_free]
    if not lost:
        return {}
    first, *behind = (steps[number] for number in lost)
    why = "nothing that it depends on has changed: the builder had no cache of it"
    return {lost[0]: _sentence(first, why, behind)}


def _needless(steps: Sequence[Foreseen], worked: Mapping[str, bool], changes: Changes) -> dict[int, _Said]:
    """What installs again, though nothing tells it to install anything else; by the lowest step that is to blame."""
    done = [one.fate is Fate.REBUILT or (one.fate is Fate.OPEN and bool(worked.get(one.step.label))) for one in steps]
    behind: dict[int, list[Foreseen]] = {}
    for number, one in enumerate(steps):
        packages = installs(one.step.instruction) if done[number] else ()
        if packages and not any(is_about(package, one.step, changes.files, changes.read) for package in packages):
            behind.setdefault(_root(steps, done, number), []).append(one)
    return {
        root: _sentence(steps[root], steps[root].why, [one for one in those if one is not steps[root]])
        for root, those in behind.items()
        # Whoever edits an instruction wants it done.
        if not (steps[root].cause.itself and changes.edited)
    }


def _root(steps: Sequence[Foreseen], done: Sequence[bool], number: int) -> int:
    """The lowest step whose being made anew is why this one is."""
    while (cause := steps[number].cause.step) is not None and done[cause]:
        number = cause
    return number


def _others(steps: Sequence[Foreseen], worked: Mapping[str, bool], made: Mapping[int, Layer]) -> list[_Said]:
    """The layers that are not those of the image before, though their steps were kept: a builder that has made them
    once itself takes its own, and every host downloads them again."""
    others = [
        one
        for number, one in enumerate(steps)
        if one.fate is Fate.KEPT and (one.step.is_free or not worked.get(one.step.label))
        if number in made and one.layer and made[number].digest != one.layer.digest
    ]
    if not others:
        return []
    weight, most = sum(one.size for one in others), max(others, key=lambda one: one.size)
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    why = "in the builder's cache is another layer of it than in the image before, which another builder has made"
    return [(weight, f"{most.step.name}{more} came out otherwise ({why}): {size(weight)}")]


def _sentence(cause: Foreseen, why: str, behind: Sequence[Foreseen]) -> _Said:
    weight = sum(one.size for one in (cause, *behind))
    also = f", and with it {behind[0].step.name}" if behind else ""
    also += f" and {len(behind) - 1} more" if len(behind) > 1 else ""
    told = f"{cause.step.name} was made anew ({why}){also}{f': {size(weight)}' if weight else ''}"
    newest = next((one for one in (cause, *behind) if _is_unpinned(one)), None)
    return weight, told + (f"; line {newest.step.instruction.first} takes what is newest that day" if newest else "")


def _is_unpinned(one: Foreseen) -> bool:
    """Whether a step takes the system's packages as they come: done again, it makes another layer."""
    return any(
        install.tool in ("apt", "apk") and "=" not in install.command for install in installs(one.step.instruction)
    )
