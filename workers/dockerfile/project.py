"""A Dockerfile's project, from its working copy: files, history by git, and the layers of its last image."""

import os
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path

from watcher.dockerfile.ignore import keeper
from watcher.dockerfile.project import Project
from workers.dockerfile.context import ignore_text, paths_of
from workers.dockerfile.earlier import Earlier
from workers.dockerfile.history import LISTS, history

_LARGEST = 1_000_000


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
    past = history(root, days, lists=any(fnmatch(path, LISTS) for path in sizes))
    return Project(
        files=sizes,
        read=read,
        history=tuple(frozenset(filter(keep, one.files)) for one in past.commits),
        moved=tuple(one.moved for one in past.commits),
        days=past.days,
        past=past.said,
        layers=image.layers if image else (),
        seconds=seconds or {},
    )
