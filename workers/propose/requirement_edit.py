"""Raising a project's requirement in its manifest: the one constraint, and not a character more."""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from packaging.markers import InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.utils import canonicalize_name

from watcher.lockfiles.compiled import compiled
from watcher.lockfiles.lines import lines
from watcher.lockfiles.wanted import included
from watcher.requirement import raised
from watcher.versions import poetry
from workers.propose.bench import Unsolved
from workers.propose.edit import edited
from workers.propose.move import Move, hashes_of
from workers.propose.toml_strings import Text, Way, at, strings

_NAME = r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?:\s*\[[^\]\"'\n]*\])?\s*\(?\s*"
_SPEC = r"(?P<spec>[<>=!~][^;\"'()@#\\\n]*?)"
_REQUIREMENT = re.compile(rf"\s*{_NAME}{_SPEC}\s*\)?\s*(?:;(?P<marker>.*))?$")
_LINE = re.compile(rf"(?m)^[ \t]*{_NAME}{_SPEC}(?=[ \t]*\)?[ \t]*(?:;(?P<marker>[^#\n]*)|#|\\|\s--|\r?$))")
_EXACTLY = re.compile(r"={2,3}[^*,]*")
_NO_PACKAGES = ("source", "requires", "scripts", "pipenv", "pipfile")
# Where a pyproject.toml has requirements as the standards write them: each `*` is one step.
_LISTS = (
    *("project dependencies *", "project optional-dependencies * *", "dependency-groups * *"),
    *("tool pdm dev-dependencies * *", "tool uv dev-dependencies *"),
    *("tool uv constraint-dependencies *", "tool uv override-dependencies *"),
)
_POETRY = (*("tool poetry dependencies", "tool poetry dev-dependencies", "tool poetry group * dependencies"),)


@dataclass(frozen=True, slots=True)
class _Place:
    """A constraint: where it begins and ends, in whose spelling it is, and whether it is for the image."""

    start: int
    end: int
    spelling: str
    counts: bool = True


def raised_in(
    files: Mapping[str, str], manifests: Iterable[str], moves: Sequence[Move], environment: Mapping[str, str]
) -> dict[str, str]:
    """The manifests in which a requirement had to be raised for `moves`. `Unsolved` if one may not be.

    One whose marker does not hold in `environment` (that of the image) is about something else.
    """
    made: dict[str, str] = {}
    for path in manifests:
        text = files.get(path)
        for move in moves if text is not None else ():
            text = _raised(text or "", path, move, environment)
        if text is not None and text != files[path]:
            made[path] = text
    return made


def reach(files: Mapping[str, str], paths: Iterable[str]) -> tuple[str, ...]:
    """These files, and what they include: as far as they are there."""
    found: dict[str, None] = {}
    waiting = list(paths)
    while waiting:
        path = waiting.pop(0)
        if path in files and path not in found:
            found[path] = None
            waiting += () if path.endswith(".toml") else included(files[path], path)
    return tuple(found)


def _raised(text: str, path: str, move: Move, environment: Mapping[str, str]) -> str:
    is_pipfile = posixpath.basename(path) == "Pipfile"
    is_toml = is_pipfile or path.endswith(".toml")
    in_toml = _in_toml(text, is_pipfile, move.package, environment)
    places = in_toml if is_toml else _in_lines(text, move.package, environment)
    for place in sorted(places, key=lambda place: place.start, reverse=True):
        old = text[place.start : place.end]
        try:
            wish = (move.version, move.requirement, move.from_version)
            new = raised(place.spelling, old, *wish) if place.counts else old
        except ValueError:
            continue
        if new is None:
            hint = f"raise it in {path}, or let the policy do that (`requirement`)"
            raise Unsolved(f"{path} asks for {move.package} {old}", hint)
        if new != old and not is_toml and _EXACTLY.fullmatch(old.strip()):
            return _repinned(text, path, move)
        text = text[: place.start] + new + text[place.end :]
    return text


def _repinned(text: str, path: str, move: Move) -> str:
    """A requirements file with the pin moved, and its hashes with it."""
    rows = lines(text, path)
    if compiled(rows, path) is not None:
        hint = f"make {path} the app's `lock`, and name this one in `in_step`: then each is moved by its own command"
        raise Unsolved(f"{path} pins {move.package}, and is a lock of its own", hint)
    has_hashes = any("--hash" in row.text and canonicalize_name(_named(row.text)) == move.package for row in rows)
    return edited(text, path, move.package, move.version, hashes_of(move) if has_hashes else ())


def _named(requirement: str) -> str:
    found = re.match(_NAME, requirement)
    return found["name"] if found else ""


def _in_lines(text: str, package: str, environment: Mapping[str, str]) -> Iterator[_Place]:
    for match in _LINE.finditer(text):
        if canonicalize_name(match["name"]) == package:
            yield _Place(*match.span("spec"), "pypi", _holds(match["marker"], environment))


def _in_toml(text: str, is_pipfile: bool, package: str, environment: Mapping[str, str]) -> Iterator[_Place]:
    for one in strings(text):
        if not is_pipfile and any(_fits(one.way, pattern.split()) for pattern in _LISTS):
            match = _REQUIREMENT.match(text[one.start : one.end])
            if match and canonicalize_name(match["name"]) == package:
                start, end = (one.start + offset for offset in match.span("spec"))
                marker = (match["marker"] or "").replace('\\"', '"')
                yield _Place(start, end, "pypi", _holds(marker, environment))
        elif canonicalize_name(_asked(one.way, is_pipfile)) == package:
            yield _Place(one.start, one.end, "poetry", _is_for(text, one, environment))


def _fits(way: Way, pattern: Sequence[str]) -> bool:
    return len(way) == len(pattern) and all(step in ("*", found) for step, found in zip(pattern, way, strict=True))


def _asked(way: Way, is_pipfile: bool) -> str:
    """The package that a version at that place is for, in a table as Poetry and Pipenv write them; else nothing.

    `name = "^1"`, `name = { version = "^1" }`, or a list of such tables. In a Pipfile any table may ask for packages.
    """
    if is_pipfile:
        inner = way[1:] if way[0] not in _NO_PACKAGES else ()
    else:
        tables = (pattern.split() for pattern in _POETRY)
        inner = next((way[len(table) :] for table in tables if _fits(way[: len(table)], table)), ())
    rest = [step for step in inner[1:] if not isinstance(step, int)]
    return str(inner[0]) if inner and rest in ([], ["version"]) else ""


def _is_for(text: str, one: Text, environment: Mapping[str, str]) -> bool:
    """Whether the table that the version stands in is for the image."""
    table = at(text, one.way[:-1]) if one.way[-1] == "version" else None
    if not isinstance(table, dict):
        return True
    python = table.get("python")
    try:
        fits = not isinstance(python, str) or poetry.allows(python, environment["python_full_version"])
    except (ValueError, KeyError):
        fits = True
    return fits and _holds(str(table.get("markers") or ""), environment)


def _holds(marker: str | None, environment: Mapping[str, str]) -> bool:
    """Whether a marker holds there. One that speaks of extras, or that cannot be read, is taken to hold."""
    if not marker or not marker.strip() or "extra" in marker or not environment:
        return True
    try:
        return Marker(marker.strip()).evaluate(dict(environment))
    except (InvalidMarker, UndefinedComparison, UndefinedEnvironmentName, ValueError):
        return True
