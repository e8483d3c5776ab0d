"""Whether the packages of a lock are all that they need: what `pip check` asks, for the image and not for us."""

from collections.abc import Iterator, Mapping, Sequence

from packaging.markers import InvalidMarker, UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from watcher.inert import inert
from watcher.pin import Pin
from watcher.wheels import Wheels
from workers.image.errors import BuildRefused

Requires = Mapping[str, Sequence[str]]
"""The Requires-Dist (PEP 508) of each package, by its name."""


def check(pins: Sequence[Pin], requires: Requires, target: Wheels) -> None:
    """Raises a `BuildRefused` that names everything that the pinned packages need and the pins do not have."""
    faults = sorted(set(_faults({pin.package: pin for pin in pins}, requires, target)))
    if faults:
        hint = "lock again with `uv lock` or `uv pip compile`: a lock made by hand has to name every package"
        raise BuildRefused(pins[0].lock, "; ".join(faults), hint)


def _faults(pins: Mapping[str, Pin], requires: Requires, target: Wheels) -> Iterator[str]:
    extras: dict[str, set[str]] = {name: {*map(canonicalize_name, pin.extras)} for name, pin in pins.items()}
    waiting = list(pins)
    # An extra that one package asks of another makes the other need more: until nothing changes any more.
    while waiting:
        name = waiting.pop()
        for requirement in _active(name, requires.get(name, ()), extras[name], target):
            other = canonicalize_name(requirement.name)
            more = set(map(canonicalize_name, requirement.extras)) - extras.get(other, set())
            if more and other in extras:
                extras[other] |= more
                waiting.append(other)
            fault = _fault(name, requirement, pins.get(other))
            if fault:
                yield fault


def _active(name: str, rows: Sequence[str], extras: set[str], target: Wheels) -> Iterator[Requirement]:
    for row in rows:
        try:
            requirement = Requirement(row)
            marker = requirement.marker
            if marker is None or any(
                marker.evaluate({**target.environment, "extra": extra}) for extra in ("", *sorted(extras))
            ):
                yield requirement
        except (InvalidRequirement, InvalidMarker, UndefinedComparison, UndefinedEnvironmentName, ValueError) as error:
            raise BuildRefused(f"`{name}`", f"its metadata has {inert(row, 200)!r}, which is no requirement") from error


def _fault(name: str, requirement: Requirement, pin: Pin | None) -> str:
    needed = f"{requirement.name}{requirement.specifier}"
    if pin is None:
        return f"`{name}` needs `{needed}`, which the lock does not pin"
    # A version that only a build can tell is what its author made of it.
    if pin.version and not requirement.specifier.contains(pin.version, prereleases=True):
        return f"`{name}` needs `{needed}`, and the lock pins {pin.version}"
    return ""
