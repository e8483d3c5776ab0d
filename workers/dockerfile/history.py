"""What git tells of a directory's past: which files each commit changed, and which packages of which list."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from watcher.errors import Temporary
from workers.process import ToolFailed, environment, run

LISTS = "*requirements*.txt"
_QUICKLY = timedelta(seconds=60)
_MOST = 2_000
_DAY = 86_400
_COMMIT = re.compile(r"([0-9a-f]{40,64}) (\d+)")
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Commit:
    """The files that a commit changed, and by list the names of the packages whose lines it changed there."""

    files: tuple[str, ...]
    moved: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class History:
    """Commits of so many days, the newest first. `said`: what is missing, in words; empty if nothing is."""

    commits: tuple[Commit, ...]
    days: float
    said: str = ""


class _Nothing(Exception):
    """There is no history, and why."""


def history(root: Path, days: int, *, lists: bool) -> History:
    """The commits of the last days that changed something below `root`. `lists`: look into lists of packages, too.

    A clone that was cut off begins with a commit that seems to have changed everything: it is left out, and the days
    are those that are there.
    """
    try:
        found = _commits(root, days)
        cut = _cut_off(root)
        moved = _moved(root, days) if lists else {}
    except _Nothing as nothing:
        return History((), days, f"no history: {nothing}; nothing says what changes how often")
    begins = [when for commit, when, _ in found if commit in cut]
    whole = [Commit(tuple(files), moved.get(commit, {})) for commit, _, files in found if commit not in cut and files]
    if begins:
        there = min(max((time.time() - min(begins)) / _DAY, 1.0), float(days))
        hint = "`git fetch --unshallow` brings the rest"
        said = "no history: the clone is shallow" if not whole else f"the clone is shallow, and tells {there:.3g} days"
        return History(tuple(whole), there, f"{said}; {hint}")
    if not whole:
        return History((), days, f"no history: no commit of the last {days} days changed a file of {root.name or root}")
    if len(found) == _MOST:
        return History(tuple(whole), days, f"only the newest {_MOST:,} commits of the last {days} days count")
    return History(tuple(whole), days)


def _commits(root: Path, days: int) -> list[tuple[str, int, list[str]]]:
    """Commits, when they were made, and their files."""
    commits: list[tuple[str, int, list[str]]] = []
    for part in _log(root, days, "--name-only", "--format=%x00%H %ct", "-z", "--", ".").split("\0"):
        # In front of each commit there are two NULs, and a line end in front of the first name.
        name = part.lstrip("\n")
        if found := _COMMIT.fullmatch(name):
            commits.append((found[1], int(found[2]), []))
        elif commits and name:
            commits[-1][2].append(name)
    return commits


def _moved(root: Path, days: int) -> Mapping[str, Mapping[str, frozenset[str]]]:
    """By commit and by list of Python packages, the names of those whose lines changed there."""
    found: dict[str, dict[str, set[str]]] = {}
    commit, file = "", ""
    words = ("--patch", "--unified=0", "--no-color", "--no-ext-diff", "--no-prefix", "--format=%x00%H", "--", LISTS)
    for row in _log(root, days, *words).splitlines():
        if row.startswith("\0"):
            commit = row[1:]
        elif row.startswith("+++ "):
            file = row[4:]
        elif row[:1] in "+-" and not row.startswith("---") and (named := _PACKAGE.match(row[1:])):
            found.setdefault(commit, {}).setdefault(file, set()).add(named[0].lower())
    return {commit: {file: frozenset(names) for file, names in files.items()} for commit, files in found.items()}


def _cut_off(root: Path) -> frozenset[str]:
    """The commits that a shallow clone begins with."""
    file = root / _git(root, "rev-parse", "--git-path", "shallow").strip()
    return frozenset(file.read_text().split()) if file.is_file() else frozenset()


def _log(root: Path, days: int, *words: str) -> str:
    """What `git log` says, for the files below `root`."""
    return _git(root, "log", f"--since={days}.days", f"--max-count={_MOST}", "--relative", "--no-renames", *words)


def _git(root: Path, *words: str) -> str:
    env = environment(root, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_NOSYSTEM="1", GIT_OPTIONAL_LOCKS="0")
    argv = ["git", "-c", f"safe.directory={root}", "-c", "core.quotePath=false", "-C", str(root), *words]
    try:
        said = run(argv, cwd=None, env=env, deadline=_QUICKLY).stdout
    except ToolFailed as error:
        if error.code == 127:
            raise _Nothing("git is not installed") from None
        told = [row.removeprefix("fatal: ") for row in error.said.splitlines() if row.strip()]
        raise _Nothing(told[0] if told else "git says nothing") from None
    except Temporary as error:
        raise _Nothing(str(error)) from None
    return said.decode("utf-8", "surrogateescape")
