"""A Dockerfile's project, from its working copy: files, history by git, and the layers of its last image."""

from datetime import timedelta
from pathlib import Path

from watcher.dockerfile.ignore import keeper
from watcher.dockerfile.project import Project
from workers.dockerfile.build import Earlier
from workers.dockerfile.context import files_of, ignore_text
from workers.dockerfile.errors import BuildRefused
from workers.process import ToolFailed, environment, run

_QUICKLY = timedelta(seconds=60)
_MOST = 2_000
_LARGEST = 1_000_000


def project(file: Path, context: Path, days: int, image: Earlier | None = None) -> Project:
    """The project whose Dockerfile is `file`. Raises `BuildRefused` if there is no such directory.

    Without a repository there is no history, and so no figures: findings are then only what is never right.
    """
    root = context.resolve()
    name = file.resolve().relative_to(root).as_posix() if file.resolve().is_relative_to(root) else file.name
    ignore = ignore_text(root, ".", name)
    kept = [path for path in files_of(root, ignore) if not path.startswith(".git/")]

    def read(path: str) -> str | None:
        found = root / path
        if path not in kept or found.is_symlink() or found.stat().st_size > _LARGEST:
            return None
        return found.read_text(encoding="utf-8", errors="replace")

    keep = keeper(ignore)
    return Project(
        files={path: (root / path).lstat().st_size for path in kept},
        read=read,
        history=tuple(frozenset(filter(keep, commit)) for commit in _history(root, days)),
        days=days,
        layers=image.layers if image else (),
    )


def _history(root: Path, days: int) -> list[list[str]]:
    """The files that each commit of the last days changed below `root`, the newest first."""
    words = ["log", f"--since={days}.days", f"--max-count={_MOST}", "--name-only", "--relative", "--no-renames"]
    env = environment(root, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_NOSYSTEM="1", GIT_OPTIONAL_LOCKS="0")
    try:
        argv = ["git", "-c", f"safe.directory={root}", "-c", "core.quotePath=false", "-C", str(root), *words]
        said = run([*argv, "--format=%x00", "-z", "--", "."], cwd=None, env=env, deadline=_QUICKLY).stdout
    except ToolFailed as error:
        if error.code == 127:
            raise BuildRefused("git", error.said, error.hint) from None
        return []
    # Between two commits there are two NULs, and a line end in front of the first name.
    commits: list[list[str]] = []
    for part in said.decode("utf-8", "surrogateescape").split("\0"):
        name = part.lstrip("\n")
        if not name:
            commits.append([])
        elif commits:
            commits[-1].append(name)
    return [commit for commit in commits if commit]
