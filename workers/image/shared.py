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

from workers.image.bytecode import CACHE
from workers.image.component import SHARED, Component, key_of
from workers.image.entry import Entry, shown
from workers.image.errors import BuildRefused
from workers.image.files import Files
from workers.image.places import above

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TOLD = 5
Rivals = Mapping[str, Sequence[Component]]
"""Who has a file that others have, too, and not the same: by its path, in the order of their names."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What settles which files count: the component, whose they are by their paths, and what there is to say of it."""

    component: Component
    winners: Mapping[str, Component]
    said: Sequence[str]

    def entries(self, files: Files) -> list[Entry]:
        """The files that count. Their packages are brought for it."""
        files.expect(list(self.winners.values()))
        found = {one: {entry.path: entry for entry in files.again(one)} for one in set(self.winners.values())}
        return [found[one][path] for path, one in self.winners.items()]


def shared(packages: Sequence[Component], files: Files) -> Shared | None:
    """What settles the files that packages share; None if they share none, or if all of them have the same.

    That is known from earlier images, without the files; only packages of which it is not are brought. A `BuildRefused`
    if one has a file where another one has a directory: no order of installing makes anything of that.
    """
    rivals = _rivals(packages, files)
    if not rivals:
        return None
    requires = _requires(files)
    winners = {path: last(found, requires) for path, found in rivals.items()}
    said = [_line(path, found, winners[path]) for path, found in rivals.items() if f"/{CACHE}/" not in path]
    more = [f"and {len(said) - _TOLD} more files that several packages have"] if len(said) > _TOLD else []
    key = key_of({"shared": [[path, winner.key] for path, winner in winners.items()]})
    return Shared(Component(SHARED, key), winners, [*said[:_TOLD], *more])


def _rivals(packages: Sequence[Component], files: Files) -> Rivals:
    while vague := {pair: None for pair in _contested(packages, files) if files.is_vague(*pair)}:
        # What is here may tell enough: then nothing else has to be brought.
        chosen = [pair for pair in vague if files.is_here(pair[0])] or list(vague)
        files.expect([one for one, _ in chosen])
        for one, place in chosen:
            files.refine(one, place)
    by_path: defaultdict[str, list[Component]] = defaultdict(list)
    for one, place in dict.fromkeys(_contested(packages, files)):
        by_path[place].append(one)
    for path in by_path:
        if file := next((one for one in above(path) if one != path and one in by_path), None):
            mine, theirs = by_path[file][0], by_path[path][0]
            why = f"`{_plain(mine)}` has a file here, and `{_plain(theirs)}` a directory"
            raise BuildRefused(shown(file), why, "one of them has to go, or to be another version")
    return {path: sorted(found, key=lambda one: one.name) for path, found in sorted(by_path.items())}


def _contested(packages: Sequence[Component], files: Files) -> Iterator[tuple[Component, str]]:
    """Places of packages at or below which another one has something, or above which; but not the same file."""
    owners: defaultdict[str, list[tuple[Component, str]]] = defaultdict(list)
    for one in packages:
        for place, what in files.places(one).items():
            owners[place].append((one, what))
    for place, mine in list(owners.items()):
        for higher in above(place):
            for one, what in mine:
                for other, other_what in owners.get(higher, ()):
                    if other != one and not (higher == place and what and what == other_what):
                        yield from ((one, place), (other, higher))


def _line(path: str, rivals: Sequence[Component], winner: Component) -> str:
    names = " and ".join(f"`{_plain(one)}`" for one in rivals)
    return f"{names} have {shown(path)}: that of `{_plain(winner)}` counts"


def _plain(component: Component) -> str:
    return component.name.partition(":")[2]


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
