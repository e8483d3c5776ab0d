"""How a connection is opened: to an address that was looked at first, and not to what its name means a moment later."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any

import httpcore

from watcher.http.address import is_public, resolved

_NOT_THE_LAST = 1.0
"""Seconds for each address of a server but its last: where IPv6 leads nowhere, IPv4 has its turn soon."""


class Private(httpcore.ConnectError):
    """A connection that must stay public would lead into a private network."""


class Network(httpcore.AsyncNetworkBackend):
    """Opens connections with asyncio alone: what httpcore has for that costs half as much again on each request.

    A `guarded` one opens none into private networks; a name of which one address is private is private.
    """

    def __init__(self, *, guarded: bool) -> None:
        self._guarded = guarded

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        async with _within(timeout, httpcore.ConnectTimeout, httpcore.ConnectError):
            *others, last = await resolved(host)
            if self._guarded and not all(is_public(ip_address(address)) for address in (*others, last)):
                raise Private(host)
            for address in others:
                try:
                    async with asyncio.timeout(_NOT_THE_LAST):
                        return _Stream(*await asyncio.open_connection(address, port))
                except OSError:
                    continue
            return _Stream(*await asyncio.open_connection(last, port))


class _Stream(httpcore.AsyncNetworkStream):
    """A connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        async with _within(timeout, httpcore.ReadTimeout, httpcore.ReadError):
            return await self._reader.read(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if buffer:
            async with _within(timeout, httpcore.WriteTimeout, httpcore.WriteError):
                self._writer.write(buffer)
                await self._writer.drain()

    async def aclose(self) -> None:
        # Without a farewell: whoever does not answer does not answer to that, either.
        self._writer.transport.abort()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with _within(timeout, httpcore.ConnectTimeout, httpcore.ConnectError):
                await self._writer.start_tls(ssl_context, server_hostname=server_hostname)
        except BaseException:
            await self.aclose()
            raise
        return self

    def get_extra_info(self, info: str) -> Any:
        match info:
            case "ssl_object":
                return self._writer.get_extra_info("ssl_object")
            case "server_addr":
                return self._writer.get_extra_info("peername")
            case "is_readable":
                # Of one that is idle: whether the other side has closed it.
                return self._reader.at_eof() or self._writer.is_closing()
        return None


@asynccontextmanager
async def _within(seconds: float | None, late: type[Exception], failed: type[Exception]) -> AsyncIterator[None]:
    """Errors as httpcore has them."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except (OSError, UnicodeError) as error:
        raise failed(str(error)) from error
