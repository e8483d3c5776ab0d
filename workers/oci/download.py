"""A file on its way from a server, which goes on where it was interrupted."""

import hashlib
from typing import BinaryIO

from workers.oci.answer import WireFailed
from workers.oci.watch import STEP
from workers.oci.wire import Wire


class Download:
    """What is at `url`, written to the empty `file`: `size` and `hash` (SHA-256) are those of what has arrived.

    More than `largest` bytes are a `WireFailed`.
    """

    def __init__(self, url: str, file: BinaryIO, largest: int) -> None:
        self._url, self._file, self._largest, self._best = url, file, largest, 0
        self._begin()

    async def all(self, wire: Wire) -> None:
        """Asks for all of it, and for what is still missing whenever the connection breaks."""
        await wire.tried(lambda: self._go_on(wire), self._further)

    async def _go_on(self, wire: Wire) -> None:
        headers = {"range": f"bytes={self.size}-"} if self.size else {}
        async with wire.ask("GET", self._url, headers=headers) as answer:
            await answer.expect(200, 206, 416)
            begin = answer.headers.get("content-range", "").removeprefix("bytes ").partition("-")[0]
            goes_on = answer.status == 206 and begin == str(self.size)
            if not goes_on:
                self._begin()
            if answer.status != 200 and not goes_on:
                raise WireFailed("it has lost the place where it was interrupted", again=True)
            async for chunk in answer.body:
                self._file.write(chunk)
                self.hash.update(chunk)
                self.size += len(chunk)
                if self.size > self._largest:
                    raise WireFailed(f"its answer has more than {self._largest} bytes")

    def _further(self) -> bool:
        # A step, because a server must not keep us for ever with a byte each time.
        if self.size < self._best + STEP:
            return False
        self._best = self.size
        return True

    def _begin(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self.size, self.hash = 0, hashlib.sha256()
