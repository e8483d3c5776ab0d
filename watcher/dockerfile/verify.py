"""What a build made anew that it should not have: by what BuildKit reported, and by what had changed."""

from collections.abc import Collection, Mapping

from watcher.dockerfile.install import installs
from watcher.dockerfile.predict import Fate, Foreseen, Prediction
from watcher.units import size


def verify(prediction: Prediction, worked: Mapping[str, bool], changed: Collection[str] | None) -> tuple[str, ...]:
    """A sentence for each instruction that made a rebuild wider than it had to be, the worst first.

    `worked` tells of each label of BuildKit whether it was really done, `changed` which files are not what they were in
    the build before (None: nobody knows, and there may have been none).
    """
    found: dict[str, tuple[int, str]] = {}
    lost = [one for one in prediction.steps if one.fate is Fate.KEPT and worked.get(one.step.label)]
    lost = [one for one in lost if one.step.instruction.keyword != "FROM"]
    if lost:
        weight = sum(one.size or 0 for one in lost)
        why = "nothing that it depends on has changed: the builder had no cache of it"
        found[lost[0].step.key] = weight, _sentence(lost[0], why, lost[1:], weight)
    if changed is None:
        return tuple(text for _, text in found.values())
    causes: dict[int, list[Foreseen]] = {}
    for number, one in enumerate(prediction.steps):
        packages = installs(one.step.instruction)
        if one.fate is not Fate.REBUILT or not packages or any(install.is_about(changed) for install in packages):
            continue
        causes.setdefault(_root(prediction.steps, number), []).append(one)
    for number, behind in causes.items():
        root, weight = prediction.steps[number], sum(one.size or 0 for one in behind)
        behind = [one for one in behind if one is not root]
        found.setdefault(root.step.key, (weight, _sentence(root, root.why, behind, weight)))
    return tuple(text for _, text in sorted(found.values(), key=lambda row: -row[0]))


def _root(steps: tuple[Foreseen, ...], number: int) -> int:
    """The lowest step whose being made anew is why this one is."""
    while (parent := steps[number].step.parent) is not None and steps[parent].fate is Fate.REBUILT:
        number = parent
    return number


def _sentence(cause: Foreseen, why: str, behind: list[Foreseen], weight: int) -> str:
    also = f", and with it {behind[0].step.name}" if behind else ""
    also += f" and {len(behind) - 1} more" if len(behind) > 1 else ""
    return f"{cause.step.name} was made anew ({why}){also}{f': {size(weight)}' if weight else ''}"
