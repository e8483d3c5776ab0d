"""The files that a build is given, and what stands for each of them."""

import hashlib
import os
from pathlib import Path

from watcher.dockerfile.ignore import keeper
from workers.dockerfile.errors import BuildRefused

_LARGEST = 1_000_000
_CHUNK = 1024 * 1024


def ignore_text(tree: Path, context: str, file: str) -> str:
    """The ignore file that counts: the Dockerfile's own if it has one, else that of the context."""
    for path in (tree / f"{file}.dockerignore", tree / context / ".dockerignore"):
        if path.is_file() and not path.is_symlink():
            return path.read_bytes()[:_LARGEST].decode("utf-8", "replace")
    return ""


def files_of(directory: Path, ignore: str = "") -> dict[str, str]:
    """The files below a directory that an ignore file leaves, each with what stands for its mode and its content."""
    if not directory.is_dir():
        raise BuildRefused("context", f"expected a directory, got {directory.name!r}", "see apps.*.image.dockerfile")
    keep = keeper(ignore)
    found = {}
    for root, directories, names in os.walk(directory):
        linked = [name for name in directories if (Path(root) / name).is_symlink()]
        for name in (*names, *linked):
            path = Path(root) / name
            relative = path.relative_to(directory).as_posix()
            if keep(relative):
                found[relative] = _key(path)
    return dict(sorted(found.items()))


def _key(path: Path) -> str:
    if path.is_symlink():
        return f"link:{path.readlink()}"
    hashed = hashlib.sha1(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hashed.update(chunk)
    return f"{path.stat().st_mode & 0o777:o}:{hashed.hexdigest()}"
