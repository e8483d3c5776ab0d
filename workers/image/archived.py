"""A file inside of a wheel, read straight from its place there, and checked against what RECORD says of its bytes.

`zipfile` reads the table of contents; for the bytes it is passed by, because it takes as long to open a file as to
unpack it, and a layer has thousands. The local header: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT,
section 4.3.7.
"""

import hashlib
import struct
import zipfile
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from watcher.inert import inert
from workers.image.errors import BuildRefused

_HEADER = struct.Struct("<4s22xHH")
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Archived:
    """The file called `name` in the wheel at `path`: `size` bytes, `packed` of them in the archive.

    `algorithm` and `digest` (base64 without padding) are RECORD's; without an algorithm nothing is known of the bytes.
    """

    path: Path
    name: str
    offset: int
    packed: int
    size: int
    deflated: bool
    executable: bool
    algorithm: str
    digest: str

    @classmethod
    def of(cls, path: Path, entry: zipfile.ZipInfo, algorithm: str, digest: str) -> "Archived":
        """The file that an entry of the archive's table of contents is about."""
        return cls(
            path=path,
            name=entry.orig_filename,
            offset=entry.header_offset,
            packed=entry.compress_size,
            size=entry.file_size,
            deflated=entry.compress_type == zipfile.ZIP_DEFLATED,
            executable=bool(entry.external_attr >> 16 & 0o111),
            algorithm=algorithm,
            digest=digest,
        )

    @property
    def sha256(self) -> str:
        """64 digits, or nothing where RECORD has another kind of hash, or one that is none."""
        if self.algorithm != "sha256":
            return ""
        try:
            digits = urlsafe_b64decode(f"{self.digest}{'=' * (-len(self.digest) % 4)}").hex()
        except ValueError:
            return ""
        return digits if len(digits) == 64 else ""

    @property
    def record(self) -> tuple[str, str]:
        """Hash and size as they stand in RECORD."""
        return (f"{self.algorithm}={self.digest}", str(self.size)) if self.algorithm else ("", "")

    def chunks(self) -> Iterator[bytes]:
        """The bytes; a `BuildRefused` if they are not those that RECORD has the hash of."""
        digest, size = hashlib.new(self.algorithm or "sha256"), 0
        try:
            with self.path.open("rb") as archive:
                for chunk in self._unpacked(archive):
                    digest.update(chunk)
                    size += len(chunk)
                    yield chunk
        except (zlib.error, struct.error) as error:
            raise self._wrong(f"expected packed bytes, got something else: {error}") from error
        found = urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
        if size != self.size or (self.algorithm and found != self.digest):
            raise self._wrong("its bytes are not those that RECORD has the hash of")

    def _unpacked(self, archive: BinaryIO) -> Iterator[bytes]:
        archive.seek(self.offset)
        mark, name, extra = _HEADER.unpack(archive.read(_HEADER.size))
        if mark != b"PK\x03\x04":
            raise self._wrong("its place in the archive holds something else")
        archive.seek(name + extra, 1)
        # Not a byte more than the table of contents promises: a small file may unpack to any size.
        left, packed = self.size + 1, self.packed
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS) if self.deflated else None
        while packed and left > 0 and (raw := archive.read(min(packed, _CHUNK))):
            packed -= len(raw)
            for chunk in _pieces(unpacker, raw) if unpacker else (raw,):
                left -= len(chunk)
                yield chunk
                if left <= 0:
                    break

    def _wrong(self, why: str) -> BuildRefused:
        hint = "tell its author, or keep the version that you have: `ignore` in the app's policy"
        return BuildRefused(f"{self.path.name}: {inert(self.name, 200)}", why, hint)


def _pieces(unpacker: "zlib._Decompress", raw: bytes) -> Iterator[bytes]:
    """What packed bytes unpack to, a piece at a time: a megabyte of them may be a gigabyte."""
    while piece := unpacker.decompress(raw, _CHUNK):
        yield piece
        raw = unpacker.unconsumed_tail
