"""An eye on whether anything moves: a server can be slow, but it cannot make us wait for ever."""

import asyncio
from collections.abc import AsyncIterator
from typing import Self

from workers.oci.answer import WireFailed

STALL = 60.0
"""Seconds in which `STEP` bytes have to move, in one direction or the other."""
STEP = 256 * 1024
SETTLE = 300.0
"""Seconds that a server may take to digest what it was sent, before it answers."""


class Watch:
    """Ends the task when nothing moves: neither `STEP` bytes nor the end within `stall` seconds."""

    def __init__(self, stall: float) -> None:
        self._stall, self._moved, self._timeout = stall, 0, asyncio.timeout(stall)

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        try:
            await self._timeout.__aexit__(*error)  # type: ignore[arg-type]
        except TimeoutError:
            raise WireFailed(f"less than {STEP} bytes moved in {self._stall:g} s", again=True) from None

    def moved(self, size: int) -> None:
        """Notes that so many bytes have moved."""
        self._moved += size
        if self._moved >= STEP:
            self.anew()

    def anew(self, seconds: float = 0.0) -> None:
        """Starts to wait from now on, for `seconds` if they are given."""
        self._moved = 0
        self._timeout.reschedule(asyncio.get_running_loop().time() + (seconds or self._stall))

    async def over(self, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The content on its way to the server, watched."""
        async for chunk in content:
            yield chunk
            self.moved(len(chunk))
        self.anew(SETTLE)
