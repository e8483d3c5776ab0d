"""A layer's tar → a directory, and nothing outside of it.

Layers are defined by the OCI image specification (layer.md), tars by POSIX.1-2001 (pax) with GNU's additions. The tar
is read once, as a stream, from whoever sends it; what was written is to be trusted only if `unpack` came back.
"""

import contextlib
import gzip
import hashlib
import os
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol, cast

from watcher.image import DiffID
from watcher.inert import inert
from workers.oci.manifest import Descriptor, ImageUnreadable

WHITEOUT = ".wh."
"""In front of a name: what the layers below have under this name is not there any more."""
OPAQUE = ".wh..wh..opq"
"""In a directory: nothing of what the layers below have in it is there any more."""
RESERVED = ".wh..wh."
"""In front of names that belong to the storage driver that made the layer."""

MAX_ENTRIES = 1_000_000
MAX_DEPTH = 128
MAX_RATIO = 100
"""How many times its compressed size a layer may unpack to (beyond the first `FREE` bytes). Packages come to 3 or 4."""
FREE = 64 * 1024 * 1024

_CHUNK = 1024 * 1024
_HERE = PurePosixPath()
_END_OF_TIME = 2**33


class Readable(Protocol):
    """What a tar is read from."""

    def read(self, size: int = ..., /) -> bytes: ...


def unpack(blob: BinaryIO, layer: Descriptor, diff_id: DiffID, into: Path, where: str) -> None:
    """Unpacks a layer into the empty directory `into`; `ImageUnreadable` (which names `where`) if it must not be.

    Owners are not kept and permissions are, without setuid and setgid. Whiteouts stay what they are: files with a name.
    """
    fault = _Fault(where, f"layer {layer.digest.short}")
    limit = FREE + MAX_RATIO * layer.size
    plain = _Counted(_decompressed(blob, layer, fault), limit, fault)
    try:
        with tarfile.open(fileobj=cast(BinaryIO, plain), mode="r|") as tar:
            _Tree(into, limit, fault).take(_members(tar, fault), tar)
        while plain.read(_CHUNK):
            pass
        while blob.read(_CHUNK):
            pass
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError, OverflowError) as error:
        raise fault("a tar", str(error) or type(error).__name__) from None
    if plain.hash.hexdigest() != diff_id.hex:
        raise fault(f"a tar with the hash {diff_id}", f"sha256:{plain.hash.hexdigest()}")


class _Fault:
    """The error that says what is wrong with a layer, and where."""

    def __init__(self, where: str, layer: str) -> None:
        self._where, self._layer = where, layer

    def __call__(self, expected: str, got: str, entry: str = "") -> ImageUnreadable:
        place = f"{self._layer}: entry {entry!r:.120}" if entry else self._layer
        return ImageUnreadable(self._where, place, expected, inert(got, 120))


class _Counted:
    """The bytes of a tar on their way through: hashed, and no more of them than allowed."""

    def __init__(self, source: Readable, limit: int, fault: _Fault) -> None:
        self.hash = hashlib.sha256()
        self._source, self._left, self._limit, self._fault = source, limit, limit, fault

    def read(self, size: int = _CHUNK, /) -> bytes:
        data = self._source.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise self._fault(f"at most {self._limit} bytes unpacked", "more")
        self.hash.update(data)
        return data


def _decompressed(blob: BinaryIO, layer: Descriptor, fault: _Fault) -> Readable:
    if layer.media_type.endswith((".tar", ".diff")):
        return blob
    if layer.media_type.endswith(("+gzip", ".gzip")):
        return gzip.GzipFile(fileobj=blob)
    raise fault("a layer of media type tar or tar+gzip", layer.media_type[:120])


def _members(tar: tarfile.TarFile, fault: _Fault) -> Iterator[tarfile.TarInfo]:
    count = 0
    while (member := tar.next()) is not None:
        tar.members = []  # type: ignore[attr-defined]  # or it would remember all of them
        count += 1
        if count > MAX_ENTRIES:
            raise fault(f"at most {MAX_ENTRIES} entries", "more", member.name)
        yield member


class _Tree:
    """A directory that is filled from a tar. Every directory on the way to an entry is one that was made here."""

    def __init__(self, root: Path, limit: int, fault: _Fault) -> None:
        self._root, self._left, self._limit, self._fault = root, limit, limit, fault
        self._modes: dict[PurePosixPath, int] = {_HERE: 0o755}

    def take(self, members: Iterator[tarfile.TarInfo], tar: tarfile.TarFile) -> None:
        """Makes all entries. Directories get their permissions last, so that they can be filled until then."""
        for member in members:
            path = self._inside(member.name, member.name)
            if member.isdir():
                self._directory(path, member.name, member.mode)
            else:
                self._make(path, member, tar)
        for path, mode in self._modes.items():
            (self._root / path).chmod(mode & 0o1777 | 0o700)

    def _make(self, path: PurePosixPath, member: tarfile.TarInfo, tar: tarfile.TarFile) -> None:
        if path == _HERE or path in self._modes:
            raise self._fault("a directory, which it was before", "something else", member.name)
        self._directory(path.parent, member.name)
        target = self._root / path
        with contextlib.suppress(FileNotFoundError):
            target.unlink()
        if member.isreg():
            self._write(target, member, tar)
        elif member.issym():
            target.symlink_to(member.linkname)
        elif member.islnk():
            self._link(target, member)
        else:
            kind = "a device" if member.isdev() else f"type {member.type!r}"
            raise self._fault("a file, a directory or a link", kind, member.name)

    def _write(self, target: Path, member: tarfile.TarInfo, tar: tarfile.TarFile) -> None:
        source = tar.extractfile(member)
        assert source is not None
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with source, os.fdopen(os.open(target, flags, 0o600), "wb") as file:
            # Counted once more here: a sparse file has more bytes than its tar.
            while chunk := source.read(_CHUNK):
                self._left -= len(chunk)
                if self._left < 0:
                    raise self._fault(f"at most {self._limit} bytes unpacked", "more", member.name)
                file.write(chunk)
            file.flush()
            os.fchmod(file.fileno(), member.mode & 0o777 | 0o400)
            written_at = member.mtime if 0 <= member.mtime < _END_OF_TIME else 0
            os.utime(file.fileno(), (written_at, written_at))

    def _link(self, target: Path, member: tarfile.TarInfo) -> None:
        path = self._inside(member.linkname, member.name)
        source = self._root / path
        if path.parent not in self._modes or path in self._modes or not os.path.lexists(source):
            raise self._fault("a link to a file before it in the layer", member.linkname[:120], member.name)
        os.link(source, target, follow_symlinks=False)

    def _directory(self, path: PurePosixPath, entry: str, mode: int | None = None) -> None:
        for parent in (*reversed(path.parents), path):
            if parent in self._modes:
                continue
            target = self._root / parent
            if target.is_symlink() and (parent != path or mode is None):
                raise self._fault("directories on the way", f"the symbolic link {parent}", entry)
            with contextlib.suppress(FileNotFoundError):
                target.unlink()
            target.mkdir(0o700)
            self._modes[parent] = 0o755
        if mode is not None:
            self._modes[path] = mode

    def _inside(self, name: str, entry: str) -> PurePosixPath:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\0" in name:
            raise self._fault("a path inside the layer", name[:120], entry)
        if len(path.parts) > MAX_DEPTH:
            raise self._fault(f"at most {MAX_DEPTH} levels", f"{len(path.parts)}", entry)
        if path.name.startswith(WHITEOUT) and path.name.removeprefix(WHITEOUT) in ("", ".", ".."):
            raise self._fault("the name of what is gone", path.name, entry)
        return path
