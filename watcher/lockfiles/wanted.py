"""What a Python project asks for, as opposed to what its lock came to: names and constraints, from its manifests."""

import posixpath
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from watcher.lockfiles.lines import lines

INCLUDE = re.compile(r"(-r|-c|--requirement|--constraint)(?:\s*=\s*|\s+|(?<=^-[rc]))(\S+)")
_LONGEST = 4_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """A requirement of a manifest. `asks`: the project wants the package; else it only limits it where it is."""

    package: str
    constraint: str = ""
    marker: str = ""
    asks: bool = True


def constraint_of(package: str, marker: str, wanted: Iterable[Wanted]) -> str:
    """All that `wanted` says of the versions of a pin, as one specifier.

    A project can ask for a package several times, under different markers, and its lock then has a pin for each: what
    stands under another marker than the pin's does not count for it.
    """
    mine = [one for one in wanted if one.package == package]
    fitting = mine if len(mine) == 1 else [one for one in mine if one.marker in ("", marker)]
    return ",".join(sorted({part for one in fitting for part in one.constraint.split(",") if part}))


def wanted_in(inputs: Iterable[str], limits: Iterable[str], manifests: Mapping[str, str]) -> tuple[Wanted, ...]:
    """What the manifests `inputs` ask for and `limits` allow, and all that they include.

    `manifests` are texts by path; one that is not among them says nothing, and neither does a line that cannot be read:
    the tool that locks judges them, and this only spares it what it would refuse.
    """
    waiting = [(path, True) for path in inputs] + [(path, False) for path in limits]
    found: list[Wanted] = []
    seen: set[tuple[str, bool]] = set()
    while waiting:
        path, asks = waiting.pop()
        if path not in manifests or (path, asks) in seen:
            continue
        seen.add((path, asks))
        found += _wanted(manifests[path], path, asks)
        waiting += [(other, asks and more) for other, more in _includes(manifests[path], path)]
    return tuple(found)


def included(text: str, path: str) -> tuple[str, ...]:
    """The files that a requirements file includes by `-r` and `-c`, as paths in the repository."""
    return tuple(dict.fromkeys(other for other, _ in _includes(text, path)))


def beside(lock: str, name: str) -> str:
    """The path of the file with that name in the directory of a lock."""
    return posixpath.join(posixpath.dirname(lock), name)


def inside(directory: str, name: str) -> str:
    """The path of `name` as seen from a directory of the repository; empty if it leads out of it."""
    path = posixpath.normpath(posixpath.join(directory, name))
    return "" if path in (".", "..") or path.startswith(("/", "../")) or "\0" in path else path


def _includes(text: str, path: str) -> Iterator[tuple[str, bool]]:
    if path.endswith(".toml"):
        return
    for line in lines(text, path):
        match = INCLUDE.fullmatch(line.text)
        other = inside(posixpath.dirname(path), match[2]) if match else ""
        if match and other:
            yield other, match[1] in ("-r", "--requirement")


def _wanted(text: str, path: str, asks: bool) -> Iterator[Wanted]:
    return of_texts(_of_pyproject(text) if path.endswith(".toml") else [line.text for line in lines(text, path)], asks)


def of_texts(texts: Iterable[str], asks: bool = True) -> Iterator[Wanted]:
    """Requirements as PEP 508 writes them. What is none is passed over."""
    for one in texts:
        with suppress(ValueError, RecursionError):
            requirement = Requirement(one[:_LONGEST].partition(" --")[0])
            marker = str(requirement.marker or "")
            yield Wanted(canonicalize_name(requirement.name), str(requirement.specifier), marker, asks)


def _of_pyproject(text: str) -> list[str]:
    """The requirements of a pyproject.toml: those of the project, of its extras and of its groups (PEP 621 and 735)."""
    try:
        data: dict[str, Any] = tomllib.loads(text)
    except (ValueError, RecursionError):
        return []
    project = data.get("project")
    tables = (
        [project.get("optional-dependencies"), {"": project.get("dependencies")}] if isinstance(project, dict) else []
    )
    lists = [
        group
        for table in [*tables, data.get("dependency-groups")]
        if isinstance(table, dict)
        for group in table.values()
    ]
    return [text for group in lists if isinstance(group, list) for text in group if isinstance(text, str)]
