"""Archives from outside → files in a directory, and nowhere else."""

import bz2
import errno
import gzip
import lzma
import posixpath
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from watcher.inert import inert
from workers.image.errors import BuildRefused

MOST_BYTES = 4 * 1024**3
MOST_ENTRIES = 200_000
_MOST_TEXT = _PIECE = 1024**2
# What the libraries raise for bytes that nobody foresaw.
_BROKEN = (
    *(tarfile.TarError, zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError),
    *(OSError, ValueError, LookupError, OverflowError, RuntimeError),
)
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def unpack(archive: Path, into: Path, name: str) -> None:
    """Unpacks a tar (packed or not) or a zip into a directory. `name` is what people call it.

    There come to be files, directories, and symbolic links that stay inside. Anything else is a `BuildRefused`.
    """
    unpacking = _Unpacking(into, name)
    try:
        with _plain(archive) as stream:
            # In this order: a tar whose last file is a zip looks like a zip, too.
            if tar := _tar(stream):
                unpacking.run(_of_tar(tar))
                return
        with zipfile.ZipFile(archive) as zipped:
            unpacking.run(_of_zip(zipped))
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        raise BuildRefused(name, "one of its entries is a file, and a directory for others") from error
    except _BROKEN as error:
        if isinstance(error, OSError) and error.errno in _DISK:
            raise
        raise BuildRefused(name, f"expected an archive, got something else: {inert(str(error), 200)}") from error


def _plain(archive: Path) -> IO[bytes]:
    """The bytes of a file, unpacked if they are packed as a whole."""
    with archive.open("rb") as file:
        head = file.read(6)
    openers = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open))
    opener = next((opener for magic, opener in openers if head.startswith(magic)), open)
    return cast(IO[bytes], opener(archive, "rb"))


def _tar(stream: IO[bytes]) -> tarfile.TarFile | None:
    """The tar that begins there; None if it is none."""
    try:
        return tarfile.open(
            fileobj=cast(IO[bytes], _InPieces(stream)), mode="r:", encoding="utf-8", errors="surrogateescape"
        )
    except tarfile.ReadError:
        return None


class _InPieces:
    """A file that is read in small pieces or not at all. `tarfile` would take a name of any length into memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.seek, self.tell = file, file.seek, file.tell

    def read(self, size: int) -> bytes:
        if size > _PIECE + tarfile.BLOCKSIZE:
            raise tarfile.TarError("a name or a header that is longer than all that anybody writes")
        return self._file.read(size)


Member = tuple[str, int, str, BinaryIO | None]
"""A path, a mode with its kind, the target of a link, and the bytes of a file."""


def _of_tar(tar: tarfile.TarFile) -> Iterator[Member]:
    kinds = {True: stat.S_IFDIR}
    for member in tar:
        if member.isreg():
            content = tar.extractfile(member)
            yield member.name, stat.S_IFREG | member.mode, "", content  # type: ignore[misc]
        elif member.issym():
            yield member.name, stat.S_IFLNK, member.linkname, None
        elif member.islnk():
            # Another name for a file that came before: a second file does as well.
            yield member.name, stat.S_IFREG | member.mode, "", tar.extractfile(member)  # type: ignore[misc]
        else:
            yield member.name, kinds.get(member.isdir(), stat.S_IFIFO), "", None


def _of_zip(zipped: zipfile.ZipFile) -> Iterator[Member]:
    for entry in zipped.infolist():
        mode = entry.external_attr >> 16
        if entry.is_dir():
            yield entry.filename, stat.S_IFDIR, "", None
        elif stat.S_ISLNK(mode):
            yield entry.filename, stat.S_IFLNK, zipped.read(entry).decode("utf-8", "surrogateescape"), None
        else:
            with zipped.open(entry) as content:
                yield entry.filename, stat.S_IFREG | (mode & 0o777), "", content  # type: ignore[misc]


class _Unpacking:
    def __init__(self, into: Path, name: str) -> None:
        self._into, self._name, self._left = into, name, MOST_BYTES
        self._links: dict[str, str] = {}

    def run(self, members: Iterator[Member]) -> None:
        for number, (path, mode, link, content) in enumerate(members):
            if number > MOST_ENTRIES:
                raise BuildRefused(self._name, f"it has more than {MOST_ENTRIES} entries")
            place = self._checked(path)
            if not place:
                continue
            if content is not None:
                self._write(place, mode, content)
            elif stat.S_ISDIR(mode):
                (self._into / place).mkdir(parents=True, exist_ok=True)
            elif stat.S_ISLNK(mode):
                self._links[place] = link
            else:
                raise BuildRefused(f"{self._name}: {inert(path, 200)}", "expected a file, got a device or a pipe")
        # Links last: until now nothing could be written through one.
        for place, link in self._links.items():
            target = posixpath.normpath(posixpath.join(posixpath.dirname(place), link))
            if link.startswith("/") or target == ".." or target.startswith("../") or "\0" in link:
                raise BuildRefused(f"{self._name}: {inert(place, 200)}", "the symbolic link leads out of the archive")
            if any(str(above) in self._links for above in PurePosixPath(place).parents):
                raise BuildRefused(
                    f"{self._name}: {inert(place, 200)}", "expected it in a directory, got a link to one"
                )
            (self._into / place).parent.mkdir(parents=True, exist_ok=True)
            (self._into / place).unlink(missing_ok=True)
            (self._into / place).symlink_to(link)

    def _checked(self, path: str) -> str:
        place = posixpath.normpath(path)
        if path.startswith("/") or place == ".." or place.startswith("../") or "\0" in path or "\\" in path:
            raise BuildRefused(f"{self._name}: {inert(path, 200)}", "expected a path within the archive")
        return "" if place == "." else place

    def _write(self, place: str, mode: int, content: BinaryIO) -> None:
        file = self._into / place
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as sink:
            while chunk := content.read(_PIECE):
                self._left -= len(chunk)
                if self._left < 0:
                    raise BuildRefused(self._name, f"it unpacks to more than {MOST_BYTES} bytes")
                sink.write(chunk)
        file.chmod(0o755 if mode & 0o111 else 0o644)


def only_directory(place: Path, name: str) -> Path:
    """The one directory at the top of what was unpacked, as source distributions and forges' archives have it."""
    found = list(place.iterdir())
    if len(found) != 1 or not found[0].is_dir() or found[0].is_symlink():
        raise BuildRefused(name, f"expected one directory at its top, got {len(found)} entries")
    return found[0]


def small_text(file: Path, name: str) -> str:
    """What stands in a file from outside that somebody has to have written; a `BuildRefused` if it is larger than that.

    `name` is what people call it.
    """
    with file.open("rb") as source:
        raw = source.read(_MOST_TEXT + 1)
    if len(raw) > _MOST_TEXT:
        raise BuildRefused(name, f"it has more than {_MOST_TEXT} bytes")
    return raw.decode("utf-8", "replace")


def emptied(place: Path) -> Path:
    """The directory, made anew."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    return place
