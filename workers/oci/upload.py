"""A blob on its way to a registry, which goes on where it was interrupted, if the registry has kept what it got.

Distribution specification 1.1, "Pushing blobs". It is sent as a whole and not in chunks, because there are registries
that take no chunks; in chunks it is only sent on.
"""

import io
import re
from collections.abc import AsyncIterator
from pathlib import Path

from watcher.image import Digest
from workers.oci.answer import WireFailed
from workers.oci.watch import STEP
from workers.oci.wire import Wire

_CHUNK = 256 * 1024
_OCTETS = {"content-type": "application/octet-stream"}
_RANGE = re.compile(r"(?:bytes=)?0-(\d{1,18})")


class Body:
    """What is uploaded, as often as it takes; `travelled` counts every byte that was sent."""

    def __init__(self, source: bytes | Path) -> None:
        self._source, self.travelled = source, 0

    @property
    def size(self) -> int:
        return len(self._source) if isinstance(self._source, bytes) else self._source.stat().st_size

    async def chunks(self, start: int) -> AsyncIterator[bytes]:
        """The bytes from `start` on."""
        with io.BytesIO(self._source) if isinstance(self._source, bytes) else self._source.open("rb") as stream:
            stream.seek(start)
            while chunk := stream.read(_CHUNK):
                yield chunk
                self.travelled += len(chunk)


class Upload:
    """An upload at an address (`place`) that the registry gave."""

    def __init__(self, wire: Wire, digest: Digest, body: Body, place: str) -> None:
        self._wire, self._digest, self._body, self._place = wire, digest, body, place
        self._start, self._times, self._broken, self._sent, self._best = 0, 0, False, 0, -1

    async def all(self) -> bool:
        """Whether the blob is there now; False: the registry has lost what it got, and there has to be another upload.

        It goes on whenever the connection breaks. Measured: docker-registry 2.8 forgets an upload that was interrupted
        in the middle of a request, whether it came as a whole or in chunks.
        """
        return await self._wire.tried(self._send, self._further)

    async def _send(self) -> bool:
        if self._broken and not await self._is_kept():
            return False
        self._times += 1
        body, start = self._body, self._start
        size = body.size - start
        url = f"{self._place}{'&' if '?' in self._place else '?'}digest={self._digest}"
        headers = _OCTETS | ({"content-range": f"{start}-{body.size - 1}"} if 0 < start < body.size else {})
        try:
            async with self._wire.ask(
                "PUT", url, headers=headers, content=lambda: self._from(start), size=size
            ) as said:
                if self._times == 1:
                    await said.expect(201)
                return said.status == 201
        except WireFailed as failed:
            # A server that says "not now" may still take the same bytes at the same address.
            self._broken = failed.again and not failed.status
            raise

    async def _from(self, start: int) -> AsyncIterator[bytes]:
        self._sent = 0
        async for chunk in self._body.chunks(start):
            yield chunk
            self._sent += len(chunk)

    def _further(self) -> bool:
        # What was sent may be lost on the way: only what the registry has kept by the next attempt counts.
        if self._sent < STEP or self._start <= self._best:
            return False
        self._best = self._start
        return True

    async def _is_kept(self) -> bool:
        """Whether the registry has what it got, and how much that is: there it goes on."""
        async with self._wire.ask("GET", self._place) as said:
            if said.status != 204:
                return False
            last = _RANGE.fullmatch(said.headers.get("range", ""))
            # Of nothing, the last byte is said to be 0.
            self._start = int(last[1]) + 1 if last and last[1] != "0" else 0
            self._place = said.headers.get("location", self._place)
        self._broken = False
        return self._start <= self._body.size
