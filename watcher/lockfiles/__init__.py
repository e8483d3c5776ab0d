"""One file per format of lockfile: text → pins. What stands in a lockfile is hostile until it has been read."""

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Protocol

from watcher.errors import LockfileUnreadable
from watcher.lockfiles.composer_lock import ComposerLock
from watcher.lockfiles.dockerfile import Dockerfile
from watcher.lockfiles.pdm_lock import PdmLock
from watcher.lockfiles.pipfile_lock import PipfileLock
from watcher.lockfiles.poetry_lock import PoetryLock
from watcher.lockfiles.pylock import Pylock
from watcher.lockfiles.requirements import Requirements
from watcher.lockfiles.uv_lock import UvLock
from watcher.pin import Pin
from watcher.source import Source

_LARGEST = 10_000_000
_MOST_FILES = 50


class Format(Protocol):
    """A format of lockfile. Texts are whole files, paths are in the repository."""

    ecosystem: str

    def also(self, text: str, path: str) -> tuple[str, ...]:
        """The other files that have to be read, if they are there, to understand the one at `path`.

        Asked again for each of those.
        """
        ...

    def pins(self, text: str, path: str, manifests: Mapping[str, str]) -> tuple[Pin, ...]:
        """The pins of the lockfile at `path`, in its order. `manifests` are the other files, as far as they are there.

        A `LockfileUnreadable` names the place of what is not as the format has it.
        """
        ...

    def sources(self, text: str, path: str, manifests: Mapping[str, str]) -> tuple[Source, ...]:
        """What the lockfile installs from elsewhere than an index: see `pins`. Some of that has a pin, too."""
        ...


FORMATS: tuple[tuple[str, Format], ...] = (
    ("uv.lock", UvLock()),
    ("composer.lock", ComposerLock()),
    ("poetry.lock", PoetryLock()),
    ("pdm.lock", PdmLock()),
    ("Pipfile.lock", PipfileLock()),
    ("pylock.toml", Pylock()),
    ("pylock.*.toml", Pylock()),
    *((name, Dockerfile()) for name in ("Dockerfile", "Dockerfile.*", "*.Dockerfile", "Containerfile")),
    ("*.txt", Requirements()),
)
"""By the name of the file; the first that fits."""


def format_of(path: str) -> Format:
    """The format of the lockfile at `path`, by its name. A `LockfileUnreadable` for a name that nobody knows."""
    name = PurePosixPath(path).name
    for pattern, known in FORMATS:
        if fnmatchcase(name, pattern):
            return known
    *names, last = (pattern for pattern, _ in FORMATS)
    raise LockfileUnreadable(path, "", f"a lockfile with the name {', '.join(names)} or {last}", repr(name))


def ecosystem_of(path: str) -> str:
    """The ecosystem of the lockfile at `path`, by its name; empty for a name that nobody knows."""
    try:
        return format_of(path).ecosystem
    except LockfileUnreadable:
        return ""


def read_all(paths: Sequence[str], fetch: Callable[[str], bytes | None]) -> tuple[Pin, ...]:
    """The pins of several lockfiles, one after the other: see `read`."""
    return tuple(pin for path in paths for pin in read(path, fetch))


def read(path: str, fetch: Callable[[str], bytes | None]) -> tuple[Pin, ...]:
    """The pins of the lockfile at `path`. `fetch` gives the bytes of a file in the repository, or None without one.

    Raises `LockfileUnreadable`, also when the file is not there, and whatever `fetch` raises.
    """
    texts = sources(path, fetch)
    return format_of(path).pins(texts.pop(path), path, texts)


def elsewhere(paths: Sequence[str], fetch: Callable[[str], bytes | None]) -> tuple[Source, ...]:
    """What several lockfiles install from elsewhere than an index: see `read`."""
    found: list[Source] = []
    for path in paths:
        texts = sources(path, fetch)
        found += format_of(path).sources(texts.pop(path), path, texts)
    return tuple(found)


def sources(path: str, fetch: Callable[[str], bytes | None]) -> dict[str, str]:
    """The lockfile at `path` and every other file that has to be read to understand it: texts by path. See `read`."""
    known = format_of(path)
    text = _text(path, fetch(path))
    manifests: dict[str, str] = {}
    waiting = list(known.also(text, path))
    while waiting and len(manifests) < _MOST_FILES:
        other = waiting.pop(0)
        data = fetch(other) if other not in manifests and other != path else None
        if data is not None:
            manifests[other] = _text(other, data)
            waiting += known.also(manifests[other], other)
    return {path: text, **manifests}


def _text(path: str, data: bytes | None) -> str:
    if data is None:
        raise LockfileUnreadable(path, "", "a lockfile", "nothing: there is no such file")
    if len(data) > _LARGEST:
        raise LockfileUnreadable(path, "", f"at most {_LARGEST:,} bytes", f"{len(data):,}")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        got = "UTF-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else f"something else at byte {error.start}"
        raise LockfileUnreadable(path, "", "UTF-8", got) from None
