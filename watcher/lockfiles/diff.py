"""What two states of a lockfile differ in."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest

from watcher.pin import Pin
from watcher.source import Source


@dataclass(frozen=True, slots=True)
class Change:
    """A pin that is another now: another version, another source, or the same with other files."""

    before: Pin
    after: Pin


@dataclass(frozen=True, slots=True)
class LockDiff:
    """What came, what went and what changed, each in the order of names. False if that is nothing.

    `sizes` are the bytes of what is downloaded, by package and version, as far as they are known.
    """

    added: tuple[Pin, ...] = ()
    removed: tuple[Pin, ...] = ()
    changed: tuple[Change, ...] = ()
    sizes: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def pins(self) -> tuple[Pin, ...]:
        """Every pin in it, those of before and those of after."""
        moved = (pin for change in self.changed for pin in (change.before, change.after))
        return (*self.added, *self.removed, *moved)

    def size_of(self, pin: Pin) -> int | None:
        """The bytes of what is downloaded for a pin, if they are known."""
        return self.sizes.get((pin.package, pin.version))

    def weighed(self, size: Callable[[Pin], int | None]) -> "LockDiff":
        """The same, with the sizes that `size` knows."""
        known = {(pin.package, pin.version): size(pin) for pin in self.pins}
        return replace(self, sizes={key: size for key, size in known.items() if size is not None})

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


def together(diffs: Iterable[LockDiff]) -> LockDiff:
    """The changes of several lockfiles as one: what several of them have in common counts once."""
    added: dict[object, Pin] = {}
    removed: dict[object, Pin] = {}
    changed: dict[object, Change] = {}
    sizes: dict[tuple[str, str], int] = {}
    for diff in diffs:
        added = {_is(pin): pin for pin in diff.added} | added
        removed = {_is(pin): pin for pin in diff.removed} | removed
        changed = {(_is(one.before), _is(one.after)): one for one in diff.changed} | changed
        sizes |= diff.sizes
    by_name = sorted(changed.values(), key=lambda one: one.after)
    return LockDiff(tuple(sorted(added.values())), tuple(sorted(removed.values())), tuple(by_name), sizes)


def strays(before: Iterable[Source], after: Iterable[Source]) -> tuple[Source, ...]:
    """What comes from no index, and is new or another than it was: at another commit, say."""
    known = {_lies(source) for source in before}
    return tuple(source for source in after if _lies(source) not in known)


def _lies(source: Source) -> tuple[object, ...]:
    return source.package, source.kind, source.at, source.commit, source.directory, source.hashes


def _is(pin: Pin) -> tuple[str, ...]:
    return pin.ecosystem, pin.package, pin.version, pin.source, pin.registry


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
