"""Which files of the context tell what a step installs: while none of them changes, it has no need to install again."""

import posixpath
import re
from collections.abc import Callable, Collection, Iterator

from watcher.dockerfile.graph import Step
from watcher.dockerfile.install import Install
from watcher.dockerfile.stages import mounts

Read = Callable[[str], str | None]
"""The text of a file of the context, or None if there is none such."""

_INCLUDES = re.compile(r"^\s*(?:-r|--requirement|-c|--constraint)[=\s]*([^\s#]+)", re.MULTILINE)
_PROJECT = ("pyproject.toml", "setup.py", "setup.cfg")
_MOST = 100


def is_about(install: Install, step: Step, changed: Collection[str], read: Read = lambda _: None) -> bool:
    """Whether any of these files tells what the install of a step installs: a list that it reads, one that such a list
    includes, or anything of a project that it installs itself."""
    moved = frozenset(changed)
    if any(moved & _tree(path, step) for path in _trees(install)):
        return True
    found: set[str] = set()
    for path in install.reads:
        at = _files(path, step)
        # Where nobody can tell which file it is, each of that name may be.
        found |= at or {one for one in moved if posixpath.basename(one) == posixpath.basename(path)}
    return bool(moved & _with_included(found, read))


def _trees(install: Install) -> Iterator[str]:
    """The directories that are installed whole. An editable install is but a path to one."""
    yield from () if install.editable else install.trees


def _files(path: str, step: Step) -> set[str]:
    """The files of the context that lie where a command of the step reads `path`. Beside one that describes a project
    lie the others that do."""
    names = _PROJECT if posixpath.basename(path) in _PROJECT else (posixpath.basename(path),)
    place = posixpath.dirname(path)
    return {file for name in names for file in _tree(posixpath.join(place, name), step)}


def _tree(path: str, step: Step) -> frozenset[str]:
    """The files of the context that lie at or below a path, while the step runs."""
    where = posixpath.normpath(posixpath.join("/", step.directory, path))
    for mount in mounts(step.instruction):
        target = posixpath.normpath(posixpath.join("/", step.directory, mount.get("target", "")))
        if mount["type"] == "bind" and not mount.get("from") and posixpath.commonpath([where, target]) == target:
            source = posixpath.join("/", mount.get("source", ""), posixpath.relpath(where, target))
            root = posixpath.normpath(source).lstrip("/")
            return frozenset(file for file in step.takes if not root or f"{file}/".startswith(f"{root}/"))
    return step.disk.at(where).carries


def _with_included(paths: Collection[str], read: Read) -> set[str]:
    """These lists, and all that they include."""
    found, waiting = set(paths), list(paths)
    while waiting and len(found) < _MOST:
        path = waiting.pop()
        for name in _INCLUDES.findall(read(path) or ""):
            other = posixpath.normpath(posixpath.join(posixpath.dirname(path), name))
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found
