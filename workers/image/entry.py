"""What a layer holds: files, directories and symbolic links, each with its place in the image."""

import os
import posixpath
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from watcher.inert import inert
from workers.image.content import Content
from workers.image.errors import BuildRefused

_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISCHR, "a character device"),
)
_OUTSIDE = ("..", "../")
LONGEST_NAME, LONGEST_PATH = 255, 4000
"""Bytes. Linux takes 4095 in a path, and the engine's own directories come in front of it."""
TOO_LONG = f"expected at most {LONGEST_NAME} bytes in a name and {LONGEST_PATH} in a path, got more"
DIRECTORY_MODES = {"tmp": 0o1777, "var/tmp": 0o1777, "root": 0o700}
"""Directories of every base whose mode is not 0755. A layer that has something in one of them says its mode again."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a layer. `path` is relative to the root of the image, without `.` and `..`.

    With `content` it is a file, with `link` a symbolic link, else a directory. `time` is that of its last change: 0, or
    something that is the same for the same bytes.
    Names that are no UTF-8 are kept as they are (surrogate escapes, as `os.fsdecode` makes them).
    """

    path: str
    content: Content | None = None
    link: str = ""
    executable: bool = False
    time: int = 0

    @property
    def is_directory(self) -> bool:
        return self.content is None and not self.link

    @property
    def mode(self) -> int:
        """Its permissions: what a build machine's umask left of them has no say."""
        if self.is_directory:
            return DIRECTORY_MODES.get(self.path, 0o755)
        return 0o777 if self.link else 0o755 if self.executable else 0o644


def with_parents(entries: Iterable[Entry]) -> list[Entry]:
    """The entries in the order of their paths, each once, with every directory above them.

    Of two entries with the same path the later one counts, as it would in the layer above. A `BuildRefused` if a file
    would have to be a directory at the same time.
    """
    found: dict[str, Entry] = {}
    for entry in entries:
        if too_long(entry.path):
            # A host would find that out in the middle of a pull.
            raise BuildRefused(shown(entry.path), TOO_LONG)
        before = found.get(entry.path, entry)
        if before.is_directory != entry.is_directory:
            raise BuildRefused(shown(entry.path), "one part of the layer has a file here, another one a directory")
        found[entry.path] = entry
        for parent in _parents(entry.path):
            if not found.setdefault(parent, Entry(parent)).is_directory:
                raise BuildRefused(shown(entry.path), f"{shown(parent)} is a file, and no directory")
    return [found[path] for path in sorted(found)]


def too_long(path: str) -> bool:
    """Whether Linux has no room for it."""
    if len(path) * 4 < LONGEST_NAME:
        return False
    raw = os.fsencode(path)
    return len(raw) > LONGEST_PATH or max(map(len, raw.split(b"/"))) > LONGEST_NAME


def _parents(path: str) -> Iterator[str]:
    while path := posixpath.dirname(path):
        yield path


def tree(root: Path, into: str, keep: Callable[[str, bool], bool] = lambda *_: True) -> Iterator[Entry]:
    """What lies in the directory `root`, as entries below `into`, by name.

    `keep` is asked for every path (relative to `root`) and whether it is a directory. A `BuildRefused` for what is no
    file, directory or symbolic link within the tree.
    """
    waiting = [""]
    while waiting:
        directory = waiting.pop()
        for item in sorted(os.scandir(root / directory), key=lambda item: item.name):
            path = posixpath.join(directory, item.name)
            is_directory = item.is_dir(follow_symlinks=False)
            if not keep(path, is_directory):
                continue
            if is_directory:
                waiting.append(path)
            yield _entry(Path(item.path), path, posixpath.join(into, path))


def _entry(source: Path, path: str, place: str) -> Entry:
    mode = source.lstat().st_mode
    if stat.S_ISDIR(mode):
        return Entry(place)
    if stat.S_ISLNK(mode):
        link = str(source.readlink())
        if link.startswith("/") or posixpath.normpath(f"{posixpath.dirname(path)}/{link}".lstrip("/"))[:3] in _OUTSIDE:
            raise BuildRefused(shown(path), f"the symbolic link leads out of the tree, to {shown(link)}", _IGNORE)
        return Entry(place, link=link)
    if not stat.S_ISREG(mode):
        kind = next((name for test, name in _KINDS if test(mode)), "of an unknown kind")
        raise BuildRefused(shown(path), f"expected a file, a directory or a symbolic link, got {kind}", _IGNORE)
    return Entry(place, source, executable=bool(mode & stat.S_IXUSR))


_IGNORE = "take it out of the repository, or name it in .toplayerignore"


def shown(path: str) -> str:
    """A path from outside, for people."""
    return inert(os.fsencode(path).decode("utf-8", "backslashreplace"), 200)
