"""Bytes that have to be what their digest says."""

import hashlib
import io
from typing import BinaryIO, cast

from watcher.image import Digest
from workers.oci.store import StoreRefused

_BUFFER = 256 * 1024


class Verified(io.RawIOBase):
    """Reads `source`, and raises `StoreRefused` at its end if what was read is not `digest`."""

    def __init__(self, source: BinaryIO, digest: Digest, where: str) -> None:
        self._source, self._digest, self._where = source, digest, where
        self._hash = hashlib.sha256()

    @classmethod
    def stream(cls, source: BinaryIO, digest: Digest, where: str) -> BinaryIO:
        """The same with a buffer, so that a read gives all that it was asked for."""
        return cast(BinaryIO, io.BufferedReader(cls(source, digest, where), _BUFFER))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        try:
            size = cast(io.BufferedIOBase, self._source).readinto(buffer)
        except OSError as error:
            raise StoreRefused(self._where, f"{self._digest} cannot be read: {error.strerror}") from error
        self._hash.update(memoryview(buffer)[:size])
        if not size:
            check(self._hash.hexdigest(), self._digest, self._where)
        return size


def check(digits: str, digest: Digest, where: str) -> None:
    """Raises `StoreRefused` unless `digits`, the SHA-256 of what was read, are those of `digest`."""
    if digits != digest.hex:
        raise StoreRefused(where, f"{digest} is damaged: its bytes are sha256:{digits}")
