"""What a pyproject.toml asks for: as the standards have it, as Poetry has it, and as PDM has it."""

from collections.abc import Iterator, Mapping
from typing import Any

from packaging.utils import canonicalize_name

from watcher.lockfiles.table import toml
from watcher.lockfiles.wanted import Wanted, beside, of_texts, wanted_in
from watcher.versions.poetry import specifier

NAME = "pyproject.toml"


def wanted_of(manifests: Mapping[str, str], lock: str) -> tuple[Wanted, ...] | None:
    """What the pyproject.toml beside a lock asks for; None if it is not among the texts by path."""
    path = beside(lock, NAME)
    return tuple(_wanted(manifests[path], path)) if path in manifests else None


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
