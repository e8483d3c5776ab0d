"""The body of an answer, unpacked as it arrives and never beyond a limit: a gzip bomb stays as small as it travels."""

import zlib
from collections.abc import Iterator

from watcher.units import size

_GZIP = 16 + zlib.MAX_WBITS
_STEP = 1_000_000


class Body:
    """Takes the bytes as they travel and gives them back unpacked. A `ValueError` says what is wrong with them."""

    def __init__(self, encoding: str, largest: int) -> None:
        """`encoding` is the Content-Encoding: gzip or nothing. `largest` is in bytes, packed and unpacked."""
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            raise ValueError(f"the answer is packed as {encoding[:40]!r}, which nobody asked for")
        self._inflate = zlib.decompressobj(_GZIP) if "gzip" in encoding else None
        self._largest = largest
        self._travelled = 0
        self._bytes = bytearray()

    def __len__(self) -> int:
        return len(self._bytes)

    def add(self, raw: bytes) -> Iterator[int]:
        """Takes the next bytes off the wire, and unpacks them in steps of a megabyte; each gives the new length."""
        self._travelled += len(raw)
        if self._travelled > self._largest:
            raise self._too_large()
        while raw:
            piece, raw = self._unpacked(raw)
            self._bytes += piece
            if len(self) > self._largest:
                raise self._too_large()
            yield len(self)

    def _unpacked(self, raw: bytes) -> tuple[bytes, bytes]:
        """The next step's bytes, and those that are still packed."""
        if self._inflate is None:
            return raw, b""
        try:
            piece = self._inflate.decompress(raw, _STEP)
        except zlib.error as error:
            raise ValueError(f"the answer is not the gzip that it says ({error})") from error
        if self._inflate.unused_data or (self._inflate.eof and self._inflate.unconsumed_tail):
            raise ValueError("there are bytes behind the end of the packed answer")
        return piece, self._inflate.unconsumed_tail

    def _too_large(self) -> ValueError:
        return ValueError(f"the answer is larger than {size(self._largest)}")

    def whole(self) -> bytes:
        """All of it, once the last byte has arrived."""
        if self._inflate is not None and self._travelled and not self._inflate.eof:
            raise ValueError("the packed answer ends in the middle")
        return bytes(self._bytes)
