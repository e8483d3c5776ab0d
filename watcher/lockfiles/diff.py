"""What two states of a lockfile differ in."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from watcher.pin import Pin


@dataclass(frozen=True, slots=True)
class Change:
    """A pin that is another now: another version, another source, or the same with other files."""

    before: Pin
    after: Pin


@dataclass(frozen=True, slots=True)
class LockDiff:
    """What came, what went and what changed, each in the order of names. False if that is nothing."""

    added: tuple[Pin, ...] = ()
    removed: tuple[Pin, ...] = ()
    changed: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def changes(before: Iterable[Pin], after: Iterable[Pin]) -> LockDiff:
    """The way from the pins of one lockfile to those of another.

    Only what is installed counts, not who asks for it. Where a lock has a package several times, for several platforms,
    the pins that are gone and those that are new are matched by their markers, and else in the order of versions.
    """
    mine, theirs = _by_package(before), _by_package(after)
    pairs = [pair for package in sorted({*mine, *theirs}) for pair in _paired(mine[package], theirs[package])]
    return LockDiff(
        added=tuple(new for old, new in pairs if old is None and new is not None),
        removed=tuple(old for old, new in pairs if new is None and old is not None),
        changed=tuple(Change(old, new) for old, new in pairs if old is not None and new is not None),
    )


def _by_package(pins: Iterable[Pin]) -> defaultdict[str, list[Pin]]:
    grouped: defaultdict[str, list[Pin]] = defaultdict(list)
    for pin in sorted(pins):
        grouped[pin.package].append(pin)
    return grouped


def _paired(before: Sequence[Pin], after: Sequence[Pin]) -> list[tuple[Pin | None, Pin | None]]:
    same = {_installs(pin) for pin in before} & {_installs(pin) for pin in after}
    old = [pin for pin in before if _installs(pin) not in same]
    new = [pin for pin in after if _installs(pin) not in same]
    markers = [pin.marker for pin in new]
    pairs: list[tuple[Pin | None, Pin | None]] = []
    for pin in list(old):
        if pin.marker in markers:
            twin = new.pop(markers.index(pin.marker))
            markers.remove(pin.marker)
            old.remove(pin)
            pairs.append((pin, twin))
    return [*pairs, *zip_longest(old, new)]


def _installs(pin: Pin) -> tuple[str, str, str, tuple[str, ...]]:
    return pin.version, pin.source, pin.registry, pin.hashes
