"""Files that several packages of Python bring along under one path: whose counts, and how that is kept.

Installers write one over the other, and the order in which they install decides. The order of layers is about bytes,
and changes with them, so it must not decide: what counts lies in a small layer of its own, on top of all others.

As with pip, a package that needs another one comes later and wins; of packages that do not need each other, the one
whose name comes first does.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from workers.image.component import SHARED, Component, key_of
from workers.image.content import sha256_of, size_of
from workers.image.entry import Entry, shown
from workers.image.files import Files
from workers.image.parts import Facts

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TOLD = 5


@dataclass(frozen=True, slots=True)
class Shared:
    """What packages share, and the layer that settles it. Without `entries` there is nothing to settle."""

    component: Component
    facts: Facts
    entries: Sequence[Entry] = ()
    said: Sequence[str] = ()


def shared(packages: Sequence[Component], files: Files) -> Shared | None:
    """The files that packages share, and what there is to say of it. None if no two of them have anything in one place.

    Whether they do is known from earlier images, without their files; only those of packages that may are brought.
    """
    near = sorted({one for pair in _near(packages, files) for one in pair}, key=lambda one: one.name)
    if not near:
        return None
    component = Component(SHARED, key_of({"shared": [one.key for one in near]}))
    if files.is_known(component):
        return Shared(component, files.facts[component.key])
    files.expect(near)
    settled = list(_settled(near, files))
    entries = [entry for entry, _ in settled]
    said = [line for _, line in settled]
    size = sum(size_of(one.content) for one in entries if one.content is not None)
    more = [f"and {len(said) - _TOLD} more files that several packages have"] if len(said) > _TOLD else []
    return Shared(component, Facts(size), entries, [*said[:_TOLD], *more])


def _near(packages: Sequence[Component], files: Files) -> Iterator[tuple[Component, Component]]:
    """Packages of which one has its files at or below a place of the other."""
    owners: defaultdict[str, list[Component]] = defaultdict(list)
    places = {one: tuple(files.places(one)) for one in packages}
    for one, mine in places.items():
        for place in mine:
            owners[place].append(one)
    for one, mine in places.items():
        for place in mine:
            above = place
            while above:
                yield from ((one, other) for other in owners.get(above, ()) if other != one)
                above = above.rpartition("/")[0]


def _settled(near: Sequence[Component], files: Files) -> Iterator[tuple[Entry, str]]:
    found: defaultdict[str, dict[Component, Entry]] = defaultdict(dict)
    for one in near:
        for entry in files.again(one):
            if not entry.is_directory:
                found[entry.path][one] = entry
    requires = _requires(files)
    for path, entries in sorted(found.items()):
        if len(entries) < 2 or len({_identity(entry) for entry in entries.values()}) == 1:
            continue
        winner = last(sorted(entries, key=lambda one: one.name), requires)
        names = " and ".join(f"`{one.name.partition(':')[2]}`" for one in sorted(entries, key=lambda one: one.name))
        yield entries[winner], f"{names} have {shown(path)}: that of `{winner.name.partition(':')[2]}` counts"


def last(rivals: Sequence[Component], requires: Mapping[str, frozenset[str]]) -> Component:
    """The one of them (in the order of their names) that an installer would install last."""
    winner = rivals[0]
    for one in rivals[1:]:
        if winner.name in _reach(one.name, requires) and one.name not in _reach(winner.name, requires):
            winner = one
    return winner


def _requires(files: Files) -> dict[str, frozenset[str]]:
    """The names of what each package of the image needs, as far as that is known."""
    found: dict[str, frozenset[str]] = {}
    for one in files.components:
        facts = files.facts.get(one.key)
        rows = facts.requires if facts else ()
        names = (match[0] for row in rows if (match := _NAME.match(row)))
        found[one.name] = frozenset(f"pypi:{canonicalize_name(name)}" for name in names)
    return found


def _reach(name: str, requires: Mapping[str, frozenset[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = requires.get(waiting.pop(), frozenset()) - found
        found |= new
        waiting += new
    return found


def _identity(entry: Entry) -> tuple[int, str, str]:
    return entry.mode, entry.link, sha256_of(entry.content) if entry.content is not None else ""
