"""A project's pyproject.toml, for the throwaway copy: what it says stays, what it would run does not.

uv builds a project to learn what its manifest leaves open, even if it is told to build nothing: with the newest build
backend on the index, or with one in the project. In the copy there is a backend of ours instead, which knows the one
thing that is commonly left open and that a lock does not hold: the version.
"""

import posixpath
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from workers.propose.bench import Unsolved
from workers.propose.stand_in import BUILDS_NOTHING

_TABLE = re.compile(r"(?m)^[ \t]*\[[ \t]*build-system[ \t]*\][^\n]*\n?(?:(?![ \t]*\[)[^\n]*(?:\n|\Z))*")
_OURS = {"requires": [], "build-backend": "toplayer_backend", "backend-path": ["."]}
_OURS_TEXT = '[build-system]\nrequires = []\nbuild-backend = "toplayer_backend"\nbackend-path = ["."]\n'
_BACKEND = """\
METADATA = {metadata!r}
WHY_NOT = {why_not!r}


def prepare_metadata_for_build_wheel(directory, config_settings=None):
    import pathlib

    if WHY_NOT:
        raise SystemExit(WHY_NOT)
    place = pathlib.Path(directory, "unbuilt-0.dist-info")
    place.mkdir()
    place.joinpath("METADATA").write_text(METADATA, encoding="utf-8")
    return place.name


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel
"""
_NEEDED = frozenset({"dependencies", "optional-dependencies"})


def unbuilt(files: Mapping[str, str]) -> dict[str, str]:
    """`files` with each pyproject.toml and its backend replaced. `Unsolved` for one that cannot be read or replaced."""
    return {name: text for path, given in files.items() for name, text in _unbuilt(path, given)}


def _unbuilt(path: str, text: str) -> Iterator[tuple[str, str]]:
    manifest = _read(path, text) if posixpath.basename(path) == "pyproject.toml" else {}
    project = _table(manifest, "project")
    dynamic = frozenset(map(str, _list(project, "dynamic")))
    if "build-system" not in manifest:
        if dynamic & {*_NEEDED, "version"}:
            raise Unsolved(f"{path} leaves {', '.join(sorted(dynamic))} open, and has no [build-system]")
        yield path, text
        return
    ours = _TABLE.sub("", text).rstrip("\r\n") + "\n\n" + _OURS_TEXT
    if _read(path, ours) != {**manifest, "build-system": _OURS}:
        raise Unsolved(f"{path} has its [build-system] in a form that toplayer does not know", "write it as a table")
    yield path, ours
    left_open = ", ".join(sorted(dynamic & _NEEDED)) if project else "everything"
    why_not = f"{BUILDS_NOTHING} {path} leaves {left_open} to its build" if left_open else ""
    metadata = "" if why_not else "\n".join(_metadata(path, project)) + "\n"
    backend = posixpath.join(posixpath.dirname(path), "toplayer_backend.py")
    yield backend, _BACKEND.format(metadata=metadata, why_not=why_not)


def _metadata(path: str, project: Mapping[str, Any]) -> Iterator[str]:
    """What a build would say, by the core metadata specification (2.1)."""
    yield from ("Metadata-Version: 2.1", f"Name: {project.get('name', 'unnamed')}", "Version: 0")
    if isinstance(project.get("requires-python"), str):
        yield f"Requires-Python: {project['requires-python']}"
    for text in _list(project, "dependencies"):
        yield f"Requires-Dist: {_requirement(path, text)}"
    extras = _table(project, "optional-dependencies")
    for extra in extras:
        yield f"Provides-Extra: {extra}"
        for text in _list(extras, extra):
            needed = _requirement(path, text)
            mine = f'extra == "{extra}"'
            marker = f"({needed.marker}) and {mine}" if needed.marker else mine
            needed.marker = None
            yield f"Requires-Dist: {needed} ; {marker}"


def _requirement(path: str, text: object) -> Requirement:
    try:
        return Requirement(str(text))
    except InvalidRequirement as error:
        raise Unsolved(
            f"{path}: expected a requirement, got {str(text)[:80]!r} ({str(error).splitlines()[0]})"
        ) from None


def _read(path: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unsolved(f"{path}: expected TOML, got something else: {str(error)[:200]}") from None


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _list(data: Mapping[str, Any], key: str) -> list[Any]:
    value = data.get(key)
    return value if isinstance(value, list) else []
