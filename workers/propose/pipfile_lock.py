"""Pipfile.lock, by Pipenv.

`pipenv upgrade name==1.2` goes to whatever the Pipfile allows, and takes along what it likes; but Pipenv resolves every
category of a Pipfile under the versions that `[packages]` came to. So in the copy, `[packages]` is the whole lock, with
the moves made, and what the project asks for stands in categories of other names. What comes of those goes into the
sections of the lock that they stand for.
"""

import hashlib
import json
import posixpath
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from watcher.lockfiles.wanted import beside
from workers.propose.bench import Unsolved
from workers.propose.json_edit import replaced
from workers.propose.move import Move
from workers.propose.pip_compile import without_wheels
from workers.propose.program import Program
from workers.propose.requirement_edit import raised_in
from workers.propose.uv import Uv, UvBench
from workers.propose.workshop import Workshop

_NO_PACKAGES = frozenset(("source", "requires", "scripts", "pipenv", "pipfile"))
_SECTIONS = {"packages": "default", "dev-packages": "develop"}
_COPY = "toplayer-"
_ROUNDS = 5
_ASKS = re.compile(r"(?m)^\s*(?:\S+ \S+ depends on|The user requested(?: \(constraint\))?) (\S.*?)\s*$")
_PIPENV = Program("pipenv")


class PipfileLock:
    """Pipenv's lock."""

    def keeps(self, text: str, path: str) -> bool:
        return posixpath.basename(path) == "Pipfile.lock"

    def beside(self, text: str, path: str) -> tuple[str, ...]:
        """The manifest."""
        return (beside(path, "Pipfile"),) if self.keeps(text, path) else ()

    def run(self, files: Mapping[str, str], path: str, moves: Sequence[Move], shop: Workshop) -> Mapping[str, str]:
        manifest = beside(path, "Pipfile")
        if manifest not in files:
            raise Unsolved(f"there is no {manifest}")
        lock = _lock(files[path], path)
        edits = raised_in(files, [manifest], moves, shop.uv.target.environment)
        text = edits.get(manifest, files[manifest])
        pipfile = _pipfile(text, manifest)
        with shop.uv.bench({}) as bench:
            pipenv = _Pipenv(bench, posixpath.dirname(path), shop.uv, pipfile)
            bench.write(path, files[path])
            bench.write(manifest, files[manifest])
            pipenv("verify")
            made = _resolved(pipenv, path, manifest, text, lock, moves)
            new = {section: _like(lock.get(section, {}), rows) for section, rows in made.items()}
            new = {section: _whole(rows, lock.get(section, {}), moves, bench) for section, rows in new.items()}
            after = edited(files[path], lock, new, hash_of(pipfile))
            bench.write(path, after)
            bench.write(manifest, text)
            pipenv("verify")
            return {**edits, path: after}


class _Pipenv:
    """Pipenv at work in one directory, with a Python of the version that the project is for."""

    def __init__(self, bench: UvBench, directory: str, uv: Uv, pipfile: Mapping[str, Any]) -> None:
        self.bench, self._directory = bench, directory
        requires = pipfile.get("requires", {})
        exact, python = requires.get("python_full_version"), requires.get("python_version") or uv.target.python
        self._env = {
            "VIRTUAL_ENV": str(bench.python(f"=={exact}" if exact else f"=={python}.*")),
            "COLUMNS": "1000",
            "PIPENV_CACHE_DIR": str(uv.state / "pipenv"),
            "PIPENV_DONT_LOAD_ENV": "1",
            "PIPENV_NOSPIN": "1",
            "PIPENV_YES": "1",
            "PIPENV_VERBOSITY": "-1",
            "PIPENV_KEYRING_PROVIDER": "disabled",
            "PIP_BUILD_ISOLATION": "false",
            **{name: text for name, text in uv.for_pip({}).items() if "INDEX" not in name},
            **({"PIPENV_PYPI_MIRROR": uv.index.url} if uv.index.url else {}),
        }

    def __call__(self, *words: str, locked: Collection[str] = ()) -> None:
        without_wheels(partial(self.bench.tool, _PIPENV, words, self._directory), self._env, locked)


def _resolved(
    pipenv: _Pipenv, path: str, manifest: str, text: str, lock: Mapping[str, Any], moves: Sequence[Move]
) -> dict[str, dict[str, Any]]:
    """The sections of the lock, with every package where it is, or where it is asked to be.

    All in one go, unless some have a package in different versions: then each has its own.
    """
    names = categories(text)
    made: dict[str, dict[str, Any]] = {}
    for some in [names] if is_one(lock) else [[name] for name in names]:
        pins = versions(lock, moves, [_SECTIONS.get(name, name) for name in some])
        _locked(pipenv, path, manifest, text, pins, some, {move.package for move in moves})
        said = _lock(pipenv.bench.read(path), path)
        made |= {_SECTIONS.get(name, name): said.get(_COPY + name, {}) for name in some}
    return made


def _locked(
    pipenv: _Pipenv,
    path: str,
    manifest: str,
    text: str,
    pins: dict[str, str],
    names: Sequence[str],
    asked: set[str],
) -> None:
    """Has Pipenv lock these categories, under `pins`; what is in the way goes further."""
    for left in reversed(range(_ROUNDS + 1)):
        pipenv.bench.write(manifest, rearranged(text, manifest, pins))
        pipenv.bench.remove(path)
        try:
            pipenv("lock", "--categories", " ".join(_COPY + name for name in names), locked=pins)
            return
        except Unsolved as error:
            free = in_the_way(error.said, pins) - asked
            if not left or not free:
                raise
            pins |= {name: f">={pins[name].lstrip('=')}" for name in free}


def is_one(lock: Mapping[str, Any]) -> bool:
    """Whether every package has one version in all sections of the lock."""
    found = {(canonicalize_name(name), row.get("version")) for _, name, row in _rows(lock) if row.get("version")}
    return len(found) == len({name for name, _ in found})


def versions(lock: Mapping[str, Any], moves: Iterable[Move], first: Sequence[str] = ()) -> dict[str, str]:
    """`==version` by package: what the lock has, the sections `first` before the others, with the moves made."""
    rows = sorted(_rows(lock), key=lambda row: row[0] not in first)
    pins: dict[str, str] = {}
    for _, name, row in rows:
        if row.get("version"):
            pins.setdefault(canonicalize_name(name), str(row["version"]))
    return pins | {move.package: f"=={move.version}" for move in moves}


def _rows(lock: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Section, name and row of everything in the lock."""
    sections = ((section, rows) for section, rows in lock.items() if section != "_meta")
    return [(section, name, row) for section, rows in sections for name, row in rows.items()]


def in_the_way(said: str, pins: Mapping[str, str]) -> set[str]:
    """The packages that somebody needs in another version than the pinned one, by pip's words."""
    found: set[str] = set()
    for words in _ASKS.findall(said):
        try:
            wanted = Requirement(words.replace(" and ", ","))
        except InvalidRequirement:
            continue
        version = pins.get(canonicalize_name(wanted.name), "")
        if version.startswith("==") and not wanted.specifier.contains(version.lstrip("="), prereleases=True):
            found.add(canonicalize_name(wanted.name))
    return found


def categories(text: str) -> list[str]:
    """The tables of a Pipfile that ask for packages."""
    data = tomllib.loads(text)
    return [name for name, rows in data.items() if name not in _NO_PACKAGES and isinstance(rows, dict)]


def rearranged(text: str, path: str, pins: Mapping[str, str]) -> str:
    """The Pipfile with `pins` as its packages, and with what it asks for in categories of other names."""
    data = tomllib.loads(text)
    for name in categories(text):
        header = re.compile(rf"(?m)^([ \t]*\[[ \t]*)([\"']?){re.escape(name)}\2(?=[ \t]*[\].])")
        text, data[_COPY + name] = header.sub(rf"\g<1>{_COPY}{name}", text), data.pop(name)
    # Without this, categories do not know of each other.
    text = re.sub(r"(?m)^([ \t]*use_default_constraints[ \t]*=[ \t]*)false\b", r"\g<1>true", text)
    if "use_default_constraints" in data.get("pipenv", {}):
        data["pipenv"] = {**data["pipenv"], "use_default_constraints": True}
    rows = "".join(f'{json.dumps(name)} = "{version}"\n' for name, version in sorted(pins.items()))
    text = f"{text.rstrip()}\n\n[packages]\n{rows}"
    try:
        if tomllib.loads(text) == {**data, "packages": dict(pins)}:
            return text
    except tomllib.TOMLDecodeError:
        pass
    raise Unsolved(f"{path} is written in a form that toplayer does not know", "write each category as a table")


def hash_of(pipfile: Mapping[str, Any]) -> str:
    """What a lock says of its Pipfile (see `plette`, which Pipenv reads it with). Pipenv itself checks it, too."""
    more = {name: rows for name, rows in pipfile.items() if name not in {*_NO_PACKAGES, *_SECTIONS}}
    content = {
        "_meta": {"sources": pipfile.get("source", []), "requires": pipfile.get("requires", {})},
        "default": pipfile.get("packages", {}),
        "develop": pipfile.get("dev-packages", {}),
        **more,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _like(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The rows of `after`; those at the same version as before are as they were, files that came later or not.

    Which index a package is from, Pipenv notes only in `[packages]` and for some: what was noted is noted again.
    """
    rows: dict[str, Any] = {}
    for name, row in after.items():
        old = before.get(name)
        if old is None:
            rows[name] = row
        elif old.get("version") == row.get("version"):
            rows[name] = old
        else:
            rows[name] = {key: value for key, value in row.items() if key != "index"}
            rows[name] |= {"index": old["index"]} if "index" in old else {}
    return rows


def _whole(rows: dict[str, Any], before: Mapping[str, Any], moves: Sequence[Move], bench: UvBench) -> dict[str, Any]:
    """The rows with all hashes in those that are new."""
    new = {name: row for name, row in rows.items() if row != before.get(name) and "hashes" in row}
    known = bench.hashes({canonicalize_name(name): row["version"].lstrip("=") for name, row in new.items()}, moves)
    for name, row in new.items():
        new[name] = {**row, "hashes": sorted({*row["hashes"], *known.get(canonicalize_name(name), ())})}
    return rows | new


def edited(text: str, lock: Mapping[str, Any], new: Mapping[str, Mapping[str, Any]], digest: str) -> str:
    """The text of the lock with its sections as they are in `new`, and not a line more than that takes."""
    if lock.get("_meta", {}).get("hash", {}).get("sha256") != digest:
        text = replaced(text, ("_meta", "hash", "sha256"), digest)
    for section, rows in new.items():
        old = lock.get(section, {})
        if rows.keys() != old.keys():
            text = replaced(text, (section,), dict(sorted(rows.items())))
            continue
        for name in (name for name, row in rows.items() if row != old[name]):
            text = replaced(text, (section, name), dict(sorted(rows[name].items())))
    return text


def _lock(text: str, path: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unsolved(f"{path}: expected JSON: {str(error)[:200]}") from None
    if not isinstance(data, dict) or not all(isinstance(rows, dict) for rows in data.values()):
        raise Unsolved(f"{path}: expected an object of objects")
    return data


def _pipfile(text: str, path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unsolved(f"{path}: expected TOML, got something else: {str(error)[:200]}") from None
