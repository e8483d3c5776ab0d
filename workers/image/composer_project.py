"""A project with a composer.lock, as it is at a commit: what there is to know before anything is installed."""

import hashlib
import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watcher.lockfiles.composer_json import Manifest, document, is_platform, manifest, mapping
from watcher.lockfiles.composer_lock import Locked, manifest_of, read_locked
from watcher.lockfiles.place import Place
from watcher.lockfiles.wanted import inside
from workers.image.content import sha256_of
from workers.image.errors import BuildRefused

_SUFFIX = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Project:
    """The project in the tree at `root`. `lock` and `vendor`, its vendor directory, are paths in the tree.

    `texts` are those of the lock and of its manifest. `packages` are those that are installed without development.
    """

    root: Path
    lock: str
    texts: tuple[str, str]
    manifest: Manifest
    packages: tuple[Locked, ...]
    vendor: str

    @classmethod
    def read(cls, root: Path, lock: str) -> "Project":
        """Raises `LockfileUnreadable` and `BuildRefused`."""
        beside = manifest_of(lock)
        texts = _text(root, lock), _text(root, beside)
        asked = manifest(texts[1], beside)
        given = asked.config.get("vendor-dir", "vendor")
        at = Place(beside, "config.vendor-dir")
        vendor = inside(posixpath.dirname(lock), at.a(str, given, "a directory").rstrip("/"))
        if not vendor or vendor == posixpath.dirname(lock):
            raise at.wrong("a directory of the repository", given)
        _check_plain(root, vendor)
        every = read_locked(texts[0], lock)
        return cls(root, lock, texts, asked, tuple(one for one in every if not one.is_dev), vendor)

    @property
    def directory(self) -> str:
        """Where the lock is."""
        return posixpath.dirname(self.lock)

    @property
    def suffix(self) -> str:
        """Another one for every lock, as newer versions of Composer have it: the lock's hash of its manifest."""
        given = document(self.texts[0], self.lock).get("content-hash")
        is_known = isinstance(given, str) and _SUFFIX.fullmatch(given)
        return str(given) if is_known else hashlib.sha256(self.texts[0].encode()).hexdigest()[:32]

    @property
    def is_optimized(self) -> bool:
        """Whether the autoloader lists every class, so that Composer reads every file for it."""
        config = self.manifest.config
        return bool(config.get("optimize-autoloader") or config.get("classmap-authoritative"))

    @property
    def is_scanned(self) -> bool:
        """Whether the autoloader depends on files of the commit, and not only on what the lock says of it."""
        local = any(one.part("dist").get("type") == "path" for one in self.packages)
        return "classmap" in self._table("autoload") or self.is_optimized or local

    def contents(self) -> str:
        """A hash of all files of the commit, but for those where Composer's come to be."""
        digits = hashlib.sha256()
        for path in sorted(paths(self.root)):
            full = self.root / path
            if path == self.vendor or path.startswith(f"{self.vendor}/"):
                continue
            if full.is_symlink() or full.is_file():
                held = os.fsencode(full.readlink()) if full.is_symlink() else full
                digits.update(b"%b\0%b" % (os.fsencode(path), sha256_of(held).encode()))
        return digits.hexdigest()

    def platform(self) -> Iterator[tuple[str, str]]:
        """What the project and its packages ask of PHP, its extensions and libraries: names and constraints."""
        for table in (self._table("require"), *(one.part("require") for one in self.packages)):
            for name, constraint in table.items():
                if is_platform(name) and isinstance(constraint, str):
                    yield name.lower(), constraint

    def _table(self, key: str) -> dict[str, Any]:
        beside = manifest_of(self.lock)
        return mapping(document(self.texts[1], beside).get(key), Place(beside, key))


def paths(root: Path) -> Iterator[str]:
    """All that is in a directory, as paths below it."""
    for directory, names, files in os.walk(root):
        names[:] = [name for name in names if name != ".git"]
        here = os.path.relpath(directory, root)
        yield from (posixpath.normpath(posixpath.join(here, name)) for name in (*names, *files))


def _text(root: Path, path: str) -> str:
    _check_plain(root, path)
    try:
        return (root / path).read_bytes().decode()
    except FileNotFoundError:
        raise BuildRefused(path, "it is not there, and the lock means nothing without it") from None
    except UnicodeDecodeError as error:
        raise BuildRefused(path, f"expected UTF-8, got something else at byte {error.start}") from None


def _check_plain(root: Path, path: str) -> None:
    """Refuses a way that leads over a symbolic link: what Composer would write behind it is not ours."""
    while path:
        if (root / path).is_symlink():
            raise BuildRefused(path, "expected a file or a directory, got a symbolic link")
        path = posixpath.dirname(path)
