"""The files that a build is given, and what stands for each of them."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath

from watcher.dockerfile.ignore import keeper
from watcher.dockerfile.settings import DockerfileSettings
from workers.dockerfile.errors import BuildRefused

_LARGEST = 1_000_000
_CHUNK = 1024 * 1024


def place(tree: Path, path: str) -> Path:
    """Where a path of a repository lies in its working copy.

    A `BuildRefused` if a symbolic link on the way leads out: there are the files of the machine that builds, and
    whoever may push to the repository would have them in an image.
    """
    root, found = tree.resolve(), (tree / path).resolve()
    if not found.is_relative_to(root):
        raise BuildRefused(path, "a symbolic link leads out of the repository", "see apps.*.image.dockerfile")
    return found


def level(tree: Path) -> None:
    """Gives everything in a working copy the modes that it has in git: what a checkout leaves depends on the umask of
    whoever did it, and an image would, too."""
    for root, directories, names in os.walk(tree):
        for path in (Path(root, name) for name in (*directories, *names)):
            if not path.is_symlink():
                runs = path.is_dir() or path.stat().st_mode & 0o100
                path.chmod(0o755 if runs else 0o644)


def ignore_text(tree: Path, context: str, file: str) -> str:
    """The ignore file that counts: the Dockerfile's own if it has one, else that of the context."""
    for path in (f"{file}.dockerignore", f"{context}/.dockerignore"):
        found = place(tree, path)
        if found.is_file():
            return found.read_bytes()[:_LARGEST].decode("utf-8", "replace")
    return ""


def uses(tree: Path, settings: DockerfileSettings) -> Callable[[str], bool]:
    """Tells of a file in the tree if a build is given it: it is in a context, whose ignore file leaves it."""
    root = tree.resolve()
    given = [(place(tree, settings.context), ignore_text(tree, settings.context, settings.file))]
    given += [(found := place(tree, path), ignore_text(found, ".", "")) for path in settings.contexts.values()]
    keepers = [(context.relative_to(root), keeper(ignore)) for context, ignore in given]

    def used(path: str) -> bool:
        here = PurePath(path)
        return any(here.is_relative_to(one) and keep(str(here.relative_to(one))) for one, keep in keepers)

    return used


def paths_of(directory: Path, ignore: str = "") -> Iterator[str]:
    """The files and links below a directory that an ignore file leaves, in no order. `.git` is none of them."""
    if not directory.is_dir():
        raise BuildRefused("context", f"expected a directory, got {directory.name!r}", "see apps.*.image.dockerfile")
    keep, top = keeper(ignore), str(directory)
    for root, directories, names in os.walk(top):
        if root == top and ".git" in directories:
            directories.remove(".git")
        inside = f"{root[len(top) :].lstrip('/')}/".lstrip("/")
        linked = [name for name in directories if Path(root, name).is_symlink()]
        yield from (path for name in (*names, *linked) if keep(path := f"{inside}{name}"))


def files_of(directory: Path, ignore: str = "") -> dict[str, str]:
    """The same, sorted, each with what stands for its mode and its content."""
    return {path: _key(directory / path) for path in sorted(paths_of(directory, ignore))}


def _key(path: Path) -> str:
    if path.is_symlink():
        return f"link:{path.readlink()}"
    hashed = hashlib.sha1(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hashed.update(chunk)
    return f"{path.stat().st_mode & 0o777:o}:{hashed.hexdigest()}"
