"""Archives from outside → files in a directory, and nowhere else."""

import posixpath
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from watcher.inert import inert
from workers.image.errors import BuildRefused

MOST_BYTES = 4 * 1024**3
MOST_ENTRIES = 200_000


def unpack(archive: Path, into: Path, name: str) -> None:
    """Unpacks a tar (packed or not) or a zip into a directory. `name` is what people call it.

    There come to be files, directories, and symbolic links that stay inside. Anything else is a `BuildRefused`.
    """
    try:
        # In this order: a tar whose last file is a zip looks like a zip, too.
        if tarfile.is_tarfile(archive):
            with tarfile.open(archive) as tar:
                _Unpacking(into, name).run(_of_tar(tar))
        else:
            with zipfile.ZipFile(archive) as zipped:
                _Unpacking(into, name).run(_of_zip(zipped))
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise BuildRefused(name, f"expected an archive, got something else: {inert(str(error), 200)}") from error
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        raise BuildRefused(name, "one of its entries is a file, and a directory for others") from error


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
            while chunk := content.read(1024 * 1024):
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


def emptied(place: Path) -> Path:
    """The directory, made anew."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    return place
