"""The body of an answer, unpacked as it arrives and never beyond a limit: a gzip bomb stays as small as it travels."""

import zlib

from watcher.units import size

_GZIP = 16 + zlib.MAX_WBITS


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

    def add(self, raw: bytes) -> None:
        """The next bytes off the wire."""
        self._travelled += len(raw)
        if self._inflate is not None:
            if self._inflate.eof and raw:
                raise ValueError("there are bytes behind the end of the packed answer")
            try:
                # zlib stops at the first byte too many: the rest of a bomb is never unpacked.
                raw = self._inflate.decompress(raw, self._largest - len(self) + 1)
            except zlib.error as error:
                raise ValueError(f"the answer is not the gzip that it says ({error})") from error
        self._bytes += raw
        if max(len(self), self._travelled) > self._largest:
            raise ValueError(f"the answer is larger than {size(self._largest)}")

    def whole(self) -> bytes:
        """All of it, once the last byte has arrived."""
        if self._inflate is not None and self._travelled and not self._inflate.eof:
            raise ValueError("the packed answer ends in the middle")
        return bytes(self._bytes)
