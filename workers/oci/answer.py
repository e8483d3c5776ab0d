"""What a server says, or why it says nothing."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from watcher.inert import inert

HINT = "see `username` and `password` of this address in the configuration"
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

    async def expect(self, *statuses: int) -> None:
        """A `WireFailed` with the server's words, unless the status is one of these."""
        if self.status in statuses:
            return
        raw = bytearray()
        async for chunk in self.body:
            raw += chunk
            if len(raw) > _LONGEST_WORD:
                break
        said = _said(bytes(raw[:_LONGEST_WORD]))
        hint = HINT if self.status in (401, 403) else ""
        if "HTTPS server" in said:
            hint = "it speaks TLS: set `plain_http = false`, or name its authority as `ca`"
        raise WireFailed(f"it says {self.status}{f': {said}' if said else ''}", status=self.status, hint=hint)


def _said(raw: bytes) -> str:
    """The messages of an error answer (distribution specification, "Error codes"), or its first words."""
    try:
        said = "; ".join(f"{row['code']}: {row['message']}" for row in json.loads(raw)["errors"])
    except (ValueError, KeyError, TypeError, RecursionError):
        said = raw.decode("utf-8", "replace").strip()
    return inert(said, 300)
