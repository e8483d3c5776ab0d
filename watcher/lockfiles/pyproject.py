"""What a pyproject.toml asks for: as the standards have it, as Poetry has it, and as PDM has it."""

from collections.abc import Iterator, Mapping
from typing import Any

from packaging.utils import canonicalize_name

from watcher.lockfiles.place import Place
from watcher.lockfiles.table import toml
from watcher.lockfiles.wanted import Wanted, beside, of_texts, wanted_in
from watcher.lockfiles.where import in_repository
from watcher.source import Source
from watcher.versions.poetry import specifier

NAME = "pyproject.toml"


def wanted_of(manifests: Mapping[str, str], lock: str) -> tuple[Wanted, ...] | None:
    """What the pyproject.toml beside a lock asks for; None if it is not among the texts by path."""
    path = beside(lock, NAME)
    return tuple(_wanted(manifests[path], path)) if path in manifests else None


def project_of(manifests: Mapping[str, str], lock: str) -> tuple[Source, ...]:
    """The project itself, if the tool that made the lock would install it, too: as a link to where it is.

    It has to say that it can be built, and its name and version, as the standards have it.
    """
    path = beside(lock, NAME)
    data = toml(manifests[path], path) if path in manifests else {}
    project, tool = _dict(data.get("project")), _dict(data.get("tool"))
    off = _dict(tool.get("poetry")).get("package-mode") is False or _dict(tool.get("pdm")).get("distribution") is False
    name, version = project.get("name"), project.get("version")
    if off or "build-system" not in data or not isinstance(name, str) or not isinstance(version, str):
        return ()
    place = Place(path, "project")
    return (
        Source(
            package=place.at("name").package(name),
            lock=lock,
            version=place.at("version").version(version),
            **in_repository(Place(lock), ".", editable=True),
        ),
    )


def _wanted(text: str, path: str) -> Iterator[Wanted]:
    yield from wanted_in([path], [], {path: text})
    tool = _dict(toml(text, path).get("tool"))
    for rows in _dict(_dict(tool.get("pdm")).get("dev-dependencies")).values():
        yield from of_texts([row for row in rows if isinstance(row, str)] if isinstance(rows, list) else [])
    poetry = _dict(tool.get("poetry"))
    groups = [_dict(group).get("dependencies") for group in _dict(poetry.get("group")).values()]
    for table in (poetry.get("dependencies"), poetry.get("dev-dependencies"), *groups):
        for name, value in _dict(table).items():
            for one in value if isinstance(value, list) else [value]:
                version = one.get("version", "*") if isinstance(one, dict) else one
                if name.lower() != "python" and isinstance(version, str):
                    yield Wanted(canonicalize_name(name), specifier(version))


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
