"""Where the packages of a project lie: what each build backend would put on the path of an editable installation.

Their own tables say so. What a path cannot say (modules under other names, code that a hook makes, files that go
elsewhere) is left to the backend itself.
"""

import posixpath
from collections.abc import Callable, Mapping
from configparser import ConfigParser
from configparser import Error as ConfigError
from pathlib import Path
from typing import Any

Roots = tuple[str, ...]
_Tables = Mapping[str, Any]
_SRC = "src"


def roots(directory: Path, name: str, backend: str, tool: _Tables) -> Roots | None:
    """The directories, as seen from the project in `directory`, which is called `name`. `tool` is its `[tool]`.

    None if only its build backend knows.
    """
    known = _BACKENDS.get(backend)
    found = known(directory, name, tool) if known else None
    return None if found is None else tuple(dict.fromkeys(one or "." for one in found))


def _setuptools(directory: Path, _: str, tool: _Tables) -> Roots | None:
    mine = table(tool, "setuptools")
    places, found = table(mine, "package-dir"), table(table(mine, "packages"), "find")
    makes = {"ext-modules", "script-files", "data-files", "cmdclass"} & {*mine} or "setuptools-rust" in tool
    if makes or {*places} - {""} or (directory / "setup.py").is_file() or _has_options(directory / "setup.cfg"):
        return None
    if places:
        return (str(places[""]),)
    if "packages" in mine or "py-modules" in mine:
        return _texts(found, "where") or (".",)
    return _usual(directory)


def _has_options(file: Path) -> bool:
    """Whether setuptools finds there what it would put before pyproject.toml's own, or cannot read it."""
    parser = ConfigParser(interpolation=None)
    try:
        parser.read(file, "utf-8")
    except (ConfigError, UnicodeDecodeError):
        return True
    return any(name.startswith("options") for name in parser.sections())


def _hatch(directory: Path, name: str, tool: _Tables) -> Roots | None:
    build = table(table(tool, "hatch"), "build")
    wheel = table(table(build, "targets"), "wheel")
    mine = {**build, **wheel}
    moves = {"hooks", "force-include", "shared-data", "shared-scripts", "extra-metadata"} & {*mine}
    if moves or isinstance(mine.get("sources"), dict):
        return None
    if said := _texts(mine, "dev-mode-dirs"):
        return said
    packages = tuple(map(posixpath.dirname, _texts(mine, "packages")))
    if packages or "sources" in mine:
        return (*packages, *_texts(mine, "sources"))
    return (".",) if {"include", "only-include"} & {*mine} else _by_name(directory, name)


def _flit(directory: Path, name: str, tool: _Tables) -> Roots | None:
    mine = table(tool, "flit")
    return None if "external-data" in mine else _by_name(directory, str(table(mine, "module").get("name", name)))


def _pdm(directory: Path, _: str, tool: _Tables) -> Roots | None:
    mine = table(table(tool, "pdm"), "build")
    if {"custom-hook", "run-setuptools", "wheel-data"} & {*mine} or (directory / "pdm_build.py").is_file():
        return None
    if "package-dir" in mine:
        return (str(mine["package-dir"]),)
    said = _texts(mine, "includes")
    return _usual(directory) if not said or any(f"{one}/".startswith(f"{_SRC}/") for one in said) else (".",)


def _uv(directory: Path, _: str, tool: _Tables) -> Roots | None:
    mine = table(table(tool, "uv"), "build-backend")
    if "data" in mine:
        return None
    return (str(mine["module-root"]),) if "module-root" in mine else _usual(directory)


def _poetry(directory: Path, name: str, tool: _Tables) -> Roots | None:
    mine = table(tool, "poetry")
    rows = [row for row in mine.get("packages") or () if isinstance(row, dict)]
    files = [row for row in table(mine, "scripts").values() if isinstance(row, dict) and row.get("type") == "file"]
    if "build" in mine or files or any("to" in row for row in rows):
        return None
    return tuple(str(row.get("from") or "") for row in rows) or _by_name(directory, name)


_BACKENDS: Mapping[str, Callable[[Path, str, _Tables], Roots | None]] = {
    "setuptools.build_meta": _setuptools,
    "hatchling.build": _hatch,
    "flit_core.buildapi": _flit,
    "pdm.backend": _pdm,
    "uv_build": _uv,
    "poetry.core.masonry.api": _poetry,
}


def _by_name(directory: Path, name: str) -> Roots:
    """Where there is something of the project's name: they all look here first, and in `src` then."""
    stems = {name.replace("-", "_").replace(".", "/"), name.replace("-", "_").replace(".", "_")}
    names = [one for stem in stems | {stem.lower() for stem in stems} for one in (stem, f"{stem}.py")]
    place = next((one for one in (".", _SRC) if any((directory / one / name).exists() for name in names)), "")
    return (place,) if place else _usual(directory)


def _usual(directory: Path) -> Roots:
    return (_SRC,) if (directory / _SRC).is_dir() else (".",)


def table(data: _Tables, key: str) -> Mapping[str, Any]:
    """The table at `key`; an empty one where there is none."""
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _texts(rows: _Tables, key: str) -> Roots:
    value = rows.get(key)
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()
