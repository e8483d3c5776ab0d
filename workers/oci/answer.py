"""What a server says, or why it says nothing."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

Content = Callable[[], AsyncIterator[bytes]]
"""Gives the body of a request, anew for each time that it is sent."""

_LONGEST_WORD = 64 * 1024


class WireFailed(Exception):
    """There is no answer. `again`: a later attempt may do better, after `wait` seconds if the server said so.

    `status` is what the server said, or 0 if it did not come to that.
    """

    def __init__(
        self, why: str, *, again: bool = False, wait: float | None = None, status: int = 0, hint: str = ""
    ) -> None:
        self.why, self.again, self.wait, self.status, self.hint = why, again, wait, status, hint
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, headers with lower-case names, and the body as it arrives."""

    status: int
    headers: Mapping[str, str]
    body: AsyncIterator[bytes]

    async def whole(self, largest: int) -> bytes:
        """The body; a `WireFailed` if it has more than `largest` bytes."""
        raw = bytearray()
        async for chunk in self.body:
            raw += chunk
            if len(raw) > largest:
                raise WireFailed(f"its answer has more than {largest} bytes")
        return bytes(raw)

    async def word(self) -> bytes:
        """The beginning of the body, for an error message."""
        raw = bytearray()
        async for chunk in self.body:
            raw += chunk
            if len(raw) > _LONGEST_WORD:
                break
        return bytes(raw[:_LONGEST_WORD])
