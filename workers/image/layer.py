"""Entries → a layer: a tar that is always the same for the same entries, packed.

Sorted by path, owned by root (but for directories that are somebody else's in the base), with the time 0 or one that is
made of the file's bytes, in GNU's format (names of any length and any bytes; no PAX headers, which hold times and
process ids). Nothing here knows the clock, the locale, the umask or the directory of the build.
"""

import hashlib
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from watcher.image import DiffID, Digest
from workers.image.content import chunks, size_of
from workers.image.directories import Directory
from workers.image.entry import Entry, shown, with_parents
from workers.image.errors import BuildRefused
from workers.image.packing import Packing, packer
from workers.oci.manifest import Descriptor

_KINDS = {True: tarfile.DIRTYPE, False: tarfile.REGTYPE}
_BUFFER = 256 * 1024
_NONE: Mapping[str, Directory] = {}


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer on the disk: its hash and size as it travels, and the hash of the tar inside."""

    path: Path
    digest: Digest
    size: int
    diff_id: DiffID
    packing: Packing

    def descriptor(self) -> Descriptor:
        """The layer as a manifest names it."""
        return Descriptor(media_type=self.packing.media_type, digest=self.digest, size=self.size)


def write_layer(
    entries: Iterable[Entry], path: Path, packing: Packing = Packing.GZIP, odd: Mapping[str, Directory] = _NONE
) -> Layer:
    """Writes the layer of these entries, and of the directories above them, to `path`. Needs little memory.

    `odd` are directories that are not as usual.
    """
    with path.open("wb") as file:
        outer = _Hashed(file.write)
        packed = packer(packing, outer.write)
        inner = write_tar(entries, packed.write, odd)
        packed.close()
        outer.flush()
    digest, diff_id = f"sha256:{outer.hash.hexdigest()}", f"sha256:{inner.hash.hexdigest()}"
    return Layer(path, Digest(digest), outer.size, DiffID(diff_id), packing)


def write_tar(
    entries: Iterable[Entry], sink: Callable[[bytes], object], odd: Mapping[str, Directory] = _NONE
) -> "_Hashed":
    """Gives the tar of these entries, and of the directories above them, to `sink`; its hash and size come back."""
    tar = _Hashed(sink)
    for entry in with_parents(entries):
        _write(entry, tar, odd)
    tar.write(bytes(2 * tarfile.BLOCKSIZE))
    tar.flush()
    return tar


class _Hashed:
    """Bytes on their way through, hashed and counted. Most of them come in very small pieces, and are gathered."""

    def __init__(self, sink: Callable[[bytes], object]) -> None:
        self._sink, self._waiting, self.hash, self.size = sink, bytearray(), hashlib.sha256(), 0

    def write(self, data: bytes) -> None:
        self._waiting += data
        if len(self._waiting) >= _BUFFER:
            self.flush()

    def flush(self) -> None:
        """Passes on what has been gathered."""
        data = bytes(self._waiting)
        self._waiting.clear()
        self.hash.update(data)
        self.size += len(data)
        self._sink(data)


def _write(entry: Entry, tar: _Hashed, odd: Mapping[str, Directory]) -> None:
    info = tarfile.TarInfo(entry.path)
    info.mode, info.mtime = entry.mode, entry.time
    if entry.is_directory and entry.path in odd:
        info.mode, info.uid, info.gid = odd[entry.path]
    info.type = tarfile.SYMTYPE if entry.link else _KINDS[entry.is_directory]
    info.linkname = entry.link
    if entry.content is not None:
        info.size = size_of(entry.content)
    # Not through TarFile, which remembers every member for as long as it is open.
    tar.write(info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape"))
    if entry.content is None:
        return
    written = 0
    for chunk in chunks(entry.content):
        written += len(chunk)
        if written > info.size:
            break
        tar.write(chunk)
    if written != info.size:
        raise BuildRefused(shown(entry.path), "it changed while it was read")
    tar.write(bytes(-info.size % tarfile.BLOCKSIZE))
