"""How a layer is packed. The same tar gives the same bytes on every machine: docs/decisions/0011-gzip.md has the proof.

gzip comes from libdeflate, which is not the zlib that this Python happens to be linked to, and whose output depends on
neither the processor nor its word size. It packs what is in memory, so a layer is a row of members of 4 MiB of tar:
every reader of gzip takes them as one stream (RFC 1952, section 2.2).
"""

import gzip
import tarfile
import zlib
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import BinaryIO, Protocol, cast

from deflate import gzip_compress
from zstandard import ZstdCompressor, ZstdDecompressor, ZstdError

from workers.oci.manifest import OCI_LAYER_GZIP, OCI_LAYER_ZSTD

GZIP_LEVEL = 6
"""Measured (`make bench-layers`): level 8 takes two and a half times as long for one percent, and 9 longer still."""
ZSTD_LEVEL = 10
_MEMBER = 4 * 1024**2


class Packing(StrEnum):
    """What a layer is packed with. Every engine reads gzip; zstd is for fleets whose hosts have all said they do."""

    GZIP = "gzip"
    ZSTD = "zstd"

    @property
    def media_type(self) -> str:
        """How a manifest calls a layer that is packed so."""
        return {Packing.GZIP: OCI_LAYER_GZIP, Packing.ZSTD: OCI_LAYER_ZSTD}[self]


class Packer(Protocol):
    """Takes the tar a piece at a time."""

    def write(self, data: bytes, /) -> None: ...

    def close(self) -> None:
        """Writes what is left."""
        ...


BROKEN = (tarfile.TarError, OSError, EOFError, zlib.error, ZstdError, ValueError)
"""What reading a layer raises that is none."""
Sink = Callable[[bytes], object]


def packer(packing: Packing, sink: Sink) -> Packer:
    """Packs what is written to it into `sink`."""
    return _PACKERS[packing](sink)


def unpacked(blob: BinaryIO, media_type: str) -> BinaryIO:
    """The tar of a layer of ours or of a base's, to be read once. Reading raises what is in `BROKEN`."""
    if media_type == OCI_LAYER_ZSTD:
        return cast(BinaryIO, ZstdDecompressor().stream_reader(blob, read_across_frames=True))
    return cast(BinaryIO, gzip.GzipFile(fileobj=blob)) if media_type == OCI_LAYER_GZIP else blob


class _Gzip:
    def __init__(self, sink: Sink) -> None:
        self._sink, self._waiting, self._any = sink, bytearray(), False

    def write(self, data: bytes, /) -> None:
        self._waiting += data
        while len(self._waiting) >= _MEMBER:
            self._pack(bytes(self._waiting[:_MEMBER]))
            del self._waiting[:_MEMBER]

    def close(self) -> None:
        if self._waiting or not self._any:
            self._pack(bytes(self._waiting))

    def _pack(self, data: bytes) -> None:
        self._any = True
        self._sink(bytes(gzip_compress(data, GZIP_LEVEL)))


class _Zstd:
    def __init__(self, sink: Sink) -> None:
        self._sink, self._compressor = sink, ZstdCompressor(level=ZSTD_LEVEL).compressobj()

    def write(self, data: bytes, /) -> None:
        self._sink(self._compressor.compress(data))

    def close(self) -> None:
        self._sink(self._compressor.flush())


_PACKERS: Mapping[Packing, Callable[[Sink], Packer]] = {Packing.GZIP: _Gzip, Packing.ZSTD: _Zstd}
