"""Where a component has its files, in few words: what tells without them whom it could get in the way of.

A place is a file, with what it is, or a directory that is the component's own. Directories in which others have
something, too (`site-packages`, `bin`, a namespace such as `google/cloud`), are no places: what is in them is.
"""

import hashlib
import posixpath
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from workers.image.content import sha256_of
from workers.image.entry import Entry

Places = Mapping[str, str]
"""Paths at or below which all files of a component are, and what a file is; of a directory nothing."""

MOST, MOST_IN_COMMON = 64, 1000
"""Places of a component, and where everybody has something: there, to say less would be to say nothing."""

_COMMON = re.compile(r"(^|/)(bin|lib|share|etc|include|site|site-packages|python3\.\d+)$")
_PACKAGES = "/site-packages/"
_PAPERS = (".dist-info", ".egg-info")


def places(entries: Iterable[Entry], *, looked_into: bool = False) -> dict[str, str]:
    """The places of a component. `looked_into`: it has others in the middle of it, as an environment has, and an
    application's code."""
    files = {entry.path: entry for entry in entries if not entry.is_directory}
    within: defaultdict[str, set[str]] = defaultdict(set)
    for path in files:
        for one in above(path):
            within[posixpath.dirname(one)].add(one)
    found, waiting = set(within[""]), sorted(within[""])
    for path in waiting:
        inside = within.get(path, set())
        direct = [posixpath.basename(one) for one in inside if one in files]
        most = MOST_IN_COMMON if _COMMON.search(path) else MOST
        # What lies alone somewhere tells more than where that is.
        deeper = len(inside) == 1 or looked_into or _is_common(path, direct)
        if inside and deeper and len(found) + len(inside) - 1 <= most:
            found = found - {path} | inside
            waiting += sorted(inside)
    return {path: identity(files[path]) if path in files else "" for path in sorted(found)}


def _is_common(path: str, files: Collection[str]) -> bool:
    """Whether others may well have something in a directory, too, in which these files are."""
    if _COMMON.search(path) or not files:
        return not path.endswith(_PAPERS)
    if _PACKAGES not in path or path.endswith(_PAPERS):
        return False
    # A package of Python's with a file in it is its owner's. Namespaces have none, or one that says no more.
    names = {name.partition(".")[0] for name in files}
    return "__init__" not in names or names == {"__init__"}


def refined(found: Places, place: str, entries: Iterable[Entry]) -> dict[str, str]:
    """The places, with all files in the place of a directory: then it is certain what is there, and what is not."""
    inside = {one.path: identity(one) for one in entries if not one.is_directory and place in above(one.path)}
    return {path: what for path, what in found.items() if path != place} | inside


def identity(entry: Entry) -> str:
    """The same for the same file, in 16 digits."""
    held = sha256_of(entry.content) if entry.content is not None else ""
    return hashlib.sha256(repr((entry.mode, entry.link, held)).encode()).hexdigest()[:16]


def collide(touched: Iterable[str], others: Collection[str]) -> bool:
    """Whether one of these paths is at, above or below one of the others: what belongs to others."""
    mine = set(touched)
    theirs = {place for path in others for place in above(path)}
    return not (mine.isdisjoint(theirs) and {place for path in mine for place in above(path)}.isdisjoint(others))


def above(path: str) -> Iterator[str]:
    """The path itself, and every directory above it."""
    while path:
        yield path
        path = posixpath.dirname(path)
