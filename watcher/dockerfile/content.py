"""What an instruction copies: a key for it, where its files come to lie, and what else is in it."""

import base64
import hashlib
import json
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from watcher.dockerfile.ignore import matching, pattern
from watcher.dockerfile.parse import Instruction

ANYWHERE = "/"

Files = Mapping[str, str]
"""Paths of files, and for each a text that stands for its mode and content."""

_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")
_WILD = frozenset("*?[")


def key_of(*facts: Any) -> str:
    """Eight characters (48 bits) that are the same for the same facts."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    return base64.urlsafe_b64encode(digest[:6]).decode()


@dataclass(frozen=True, slots=True)
class Content:
    """Something that is copied.

    `placed` says where each file comes to lie: its key, and the file of the context that it is; None if that is not
    known. `carries` are files of the context that are in it, wherever; `drawn` the steps whose result is in it and
    could be anything; `fickle`: it comes from far away, where nobody has looked.
    """

    key: str
    placed: Mapping[str, tuple[str, str]] | None = None
    carries: frozenset[str] = frozenset()
    drawn: frozenset[int] = frozenset()
    fickle: bool = False

    def of(self, context: str) -> "Content":
        """The same, of files of another context than the one."""
        placed = {to: (key, f"{context}:{file}") for to, (key, file) in (self.placed or {}).items()}
        carries = frozenset(f"{context}:{file}" for file in self.carries)
        return replace(self, placed=placed if self.placed is not None else None, carries=carries)


NOTHING = Content(key_of(), placed={})


@dataclass(frozen=True, slots=True)
class Place:
    """Where it is copied to. `into`: a file comes below `area` by its own name, and does not become it."""

    area: str
    into: bool = True
    unpacks: bool = False
    parents: bool = False
    excluded: tuple[str, ...] = ()

    @classmethod
    def of(cls, instruction: Instruction, area: str, into: bool) -> "Place":
        """Where a COPY or an ADD copies to."""
        return cls(area, into, instruction.keyword == "ADD", instruction.has("parents"), instruction.all("exclude"))


def of_files(files: Files, name: str, place: Place) -> Content:
    """The files of a context at or below `name`, which may have wildcards."""
    pivot = posixpath.normpath(name.partition("/./")[0]).lstrip("/") if place.parents and "/./" in name else "."
    excluded = frozenset(path for text in place.excluded for path in matching(text, files))
    placed: dict[str, tuple[str, str]] = {}
    unpacked = False
    for file, root in _found(files, posixpath.normpath(posixpath.join("/", name)).lstrip("/")):
        if file in excluded:
            continue
        unpacked = unpacked or (place.unpacks and file == root and file.lower().endswith(_ARCHIVES))
        placed[_to(file, root, pivot, place)] = (files[file], file)
    key = key_of("files", sorted((file, key) for key, file in placed.values()))
    carries = frozenset(file for _, file in placed.values())
    return Content(key, None if unpacked else placed, carries)


def joined(parts: Sequence[Content]) -> Content:
    """Several things in one."""
    placed: dict[str, tuple[str, str]] | None = {}
    for part in parts:
        placed = None if placed is None or part.placed is None else placed | dict(part.placed)
    return Content(
        key_of(*(part.key for part in parts)),
        placed,
        frozenset(path for part in parts for path in part.carries),
        frozenset(step for part in parts for step in part.drawn),
        any(part.fickle for part in parts),
    )


@dataclass(frozen=True, slots=True)
class Write:
    """What one step left below `area`."""

    area: str
    content: Content


@dataclass(frozen=True, slots=True)
class Disk:
    """What the steps of a stage have left so far, in their order."""

    writes: tuple[Write, ...] = field(default=())

    def with_(self, area: str, content: Content) -> "Disk":
        """The disk after one more step."""
        return Disk((*self.writes, Write(area, content)))

    def at(self, path: str) -> Content:
        """What lies at a path: what any step may have left there."""
        fixed = path
        if wild := [path.index(char) for char in _WILD if char in path]:
            fixed = posixpath.dirname(path[: min(wild)])
        found = [_part(write, fixed) for write in self.writes]
        inside = joined([part for part in found if part is not None])
        return Content(inside.key, None, inside.carries, inside.drawn, inside.fickle)


def _part(write: Write, path: str) -> Content | None:
    content = write.content
    if content.placed is None:
        return content if _overlap(write.area, path) else None
    inside = {to: of for to, of in content.placed.items() if _overlap(to, path)}
    if not inside:
        return None
    key = key_of("part", sorted((to, key) for to, (key, _) in inside.items()))
    return Content(key, inside, frozenset(file for _, file in inside.values()), content.drawn, content.fickle)


def _overlap(one: str, other: str) -> bool:
    first, second = one.rstrip("/") + "/", other.rstrip("/") + "/"
    return first.startswith(second) or second.startswith(first)


def _to(file: str, root: str, pivot: str, place: Place) -> str:
    """Where a file comes to lie. Paths are in their normal form; a tree has thousands of them."""
    if place.parents:
        return posixpath.join(place.area, posixpath.relpath(file, pivot))
    if file == root:
        return posixpath.join(place.area, posixpath.basename(file)) if place.into else place.area
    return f"{place.area.rstrip('/')}/{file[len(root) + 1 :] if root else file}"


def _found(files: Files, path: str) -> Iterable[tuple[str, str]]:
    """The files at or below what a path names, each with the place that it was found by."""
    if path in ("", "."):
        return ((file, "") for file in files)
    if not _WILD & set(path):
        below = f"{path}/"
        return ((file, path) for file in files if file == path or file.startswith(below))
    regex, depth = pattern(path), path.count("/") + 1
    roots = ((file, "/".join(file.split("/")[:depth])) for file in files)
    return ((file, root) for file, root in roots if regex.fullmatch(root))
