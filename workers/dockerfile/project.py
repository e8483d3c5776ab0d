"""A Dockerfile's project, from its working copy: files, history by git, and the layers of its last image."""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from fnmatch import fnmatch
from pathlib import Path

from watcher.dockerfile.ignore import keeper
from watcher.dockerfile.project import Project
from workers.dockerfile.context import ignore_text, paths_of
from workers.dockerfile.earlier import Earlier
from workers.dockerfile.errors import BuildRefused
from workers.process import ToolFailed, environment, run

_QUICKLY = timedelta(seconds=60)
_MOST = 2_000
_LARGEST = 1_000_000
_LISTS = "*requirements*.txt"
_COMMIT = re.compile(r"[0-9a-f]{40,64}")
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def project(
    file: Path, context: Path, days: int, image: Earlier | None = None, seconds: Mapping[str, float] | None = None
) -> Project:
    """The project whose Dockerfile is `file`; `seconds` are what steps of past builds took, by their texts.

    Raises `BuildRefused` if there is no such directory.

    Without a repository there is no history, and so no figures: findings are then only what is never right.
    """
    root = context.resolve()
    name = file.resolve().relative_to(root).as_posix() if file.resolve().is_relative_to(root) else file.name
    ignore = ignore_text(root, ".", name)
    sizes = {path: os.lstat(f"{root}/{path}").st_size for path in sorted(paths_of(root, ignore))}

    def read(path: str) -> str | None:
        found = root / path
        if path not in sizes or found.is_symlink() or found.stat().st_size > _LARGEST:
            return None
        return found.read_text(encoding="utf-8", errors="replace")

    keep = keeper(ignore)
    commits = _history(root, days)
    lists = _moved(root, days) if any(fnmatch(path, _LISTS) for path in sizes) else {}
    return Project(
        files=sizes,
        read=read,
        history=tuple(frozenset(filter(keep, files)) for _, files in commits),
        moved=tuple(lists.get(commit, {}) for commit, _ in commits),
        days=days,
        layers=image.layers if image else (),
        seconds=seconds or {},
    )


def _history(root: Path, days: int) -> list[tuple[str, list[str]]]:
    """Each commit of the last days that changed something below `root`, and the files, the newest first."""
    commits: list[tuple[str, list[str]]] = []
    for part in _log(root, days, "--name-only", "--format=%x00%H", "-z", "--", ".").split("\0"):
        # In front of each commit there are two NULs, and a line end in front of the first name.
        name = part.lstrip("\n")
        if _COMMIT.fullmatch(name):
            commits.append((name, []))
        elif commits and name:
            commits[-1][1].append(name)
    return [(commit, files) for commit, files in commits if files]


def _moved(root: Path, days: int) -> Mapping[str, Mapping[str, frozenset[str]]]:
    """By commit and by list of Python packages, the names of those whose lines changed there."""
    found: dict[str, dict[str, set[str]]] = {}
    commit, file = "", ""
    words = ("--patch", "--unified=0", "--no-color", "--no-ext-diff", "--no-prefix", "--format=%x00%H", "--", _LISTS)
    for row in _log(root, days, *words).splitlines():
        if row.startswith("\0"):
            commit = row[1:]
        elif row.startswith("+++ "):
            file = row[4:]
        elif row[:1] in "+-" and not row.startswith("---") and (named := _PACKAGE.match(row[1:])):
            found.setdefault(commit, {}).setdefault(file, set()).add(named[0].lower())
    return {commit: {file: frozenset(names) for file, names in files.items()} for commit, files in found.items()}


def _log(root: Path, days: int, *words: str) -> str:
    """What `git log` says, for the files below `root`; nothing where there is no repository."""
    env = environment(root, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_NOSYSTEM="1", GIT_OPTIONAL_LOCKS="0")
    argv = ["git", "-c", f"safe.directory={root}", "-c", "core.quotePath=false", "-C", str(root), "log"]
    argv += [f"--since={days}.days", f"--max-count={_MOST}", "--relative", "--no-renames", *words]
    try:
        said = run(argv, cwd=None, env=env, deadline=_QUICKLY).stdout
    except ToolFailed as error:
        if error.code == 127:
            raise BuildRefused("git", error.said, error.hint) from None
        return ""
    return said.decode("utf-8", "surrogateescape")
