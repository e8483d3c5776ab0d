"""uv's configuration in a repository: where it is, the uv that it asks for, and what it may not say to ours."""

import posixpath
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from workers.propose.bench import Unsolved

# With these a repository would bring its own Python along, and uv would run it to see what it is.
_BRINGS = ("python-downloads-json-url", "python-install-mirror", "pypy-install-mirror")


def configuration(directory: str) -> tuple[str, ...]:
    """Where uv looks for its configuration from a directory of the repository: there, and in every one above it."""
    above = [PurePosixPath(directory), *PurePosixPath(directory).parents] if directory else [PurePosixPath()]
    return tuple(str(place / name) for place in above for name in ("uv.toml", "pyproject.toml"))


def required(files: Mapping[str, str]) -> str:
    """The uv that the project requires, as a specifier; empty if it takes any.

    `Unsolved` for a setting that would have ours run a program of the repository's choice.
    """
    for path, settings in _settings(files):
        if bad := next((name for name in _BRINGS if name in settings), None):
            raise Unsolved(f"{path} tells uv where to get a Python from (`{bad}`), and toplayer runs none from there")
    for _, settings in _settings(files):
        if said := str(settings.get("required-version", "")).strip():
            with suppress(InvalidSpecifier):  # uv says so itself
                return str(SpecifierSet(f"=={said}" if said[:1].isdigit() else said))
    return ""


def _settings(files: Mapping[str, str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What each of the files says to uv. One that is no TOML is for uv to judge."""
    for path, text in files.items():
        name = posixpath.basename(path)
        with suppress(ValueError, RecursionError):
            data: Any = tomllib.loads(text) if name in ("uv.toml", "pyproject.toml") else {}
            for key in ("tool", "uv") if name == "pyproject.toml" else ():
                data = data.get(key) if isinstance(data, dict) else None
            yield path, data if isinstance(data, dict) else {}
