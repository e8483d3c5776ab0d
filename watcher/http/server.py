"""The connections to one server, each opened when it is needed and used again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpcore


class Server:
    """The connections to one server: one that speaks HTTP/2 is for all requests, any other for one at a time."""

    def __init__(self, make: Callable[[], httpcore.AsyncHTTPConnection]) -> None:
        self._make = make
        self._shared: httpcore.AsyncHTTPConnection | None = None
        self._idle: list[httpcore.AsyncHTTPConnection] = []
        self._first, self._known = asyncio.Lock(), asyncio.Event()

    @asynccontextmanager
    async def answer(self, request: httpcore.Request) -> AsyncIterator[httpcore.Response]:
        wire, response = await self._asked(request)
        try:
            yield response
        finally:
            try:
                await response.aclose()
            finally:
                await self._back(wire)

    async def _asked(self, request: httpcore.Request) -> tuple[httpcore.AsyncHTTPConnection, httpcore.Response]:
        if self._known.is_set():
            return await self._sent(request)
        # Whether one connection is enough for all is known after the first answer, so that one is awaited.
        async with self._first:
            if not self._known.is_set():
                try:
                    return await self._sent(request)
                finally:
                    self._known.set()
        return await self._sent(request)

    async def _sent(self, request: httpcore.Request) -> tuple[httpcore.AsyncHTTPConnection, httpcore.Response]:
        wire = await self._taken()
        try:
            response = await wire.handle_async_request(request)
        except BaseException:
            await self._back(wire)
            raise
        if self._shared is None and response.extensions["http_version"] == b"HTTP/2":
            self._shared = wire
        return wire, response

    async def _taken(self) -> httpcore.AsyncHTTPConnection:
        if self._shared is not None and self._shared.is_available():
            return self._shared
        while self._idle:
            wire = self._idle.pop()
            if not wire.has_expired():
                return wire
            await wire.aclose()
        return self._make()

    async def _back(self, wire: httpcore.AsyncHTTPConnection) -> None:
        if wire is self._shared and not wire.is_available():
            self._shared = None
        if wire is self._shared:
            return
        if wire.is_idle() and wire.is_available():
            self._idle.append(wire)
        else:
            await wire.aclose()

    async def close(self) -> None:
        for wire in (*self._idle, *filter(None, [self._shared])):
            await wire.aclose()
