"""The connections: direct ones, and those by way of the environment's proxies.

Built from httpx's transports instead of its client: the client's cookies, redirects and unpacking are done by us or by
nobody, and without it a request costs a third less.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from urllib.request import getproxies_environment, proxy_bypass

import httpx

from watcher.errors import SettingsRefused
from watcher.http.message import Limits
from watcher.inert import inert

_Server = tuple[str, str, int | None]
"""Scheme, host and port."""


class Wires:
    """Sends one request over a connection that fits."""

    def __init__(self, contact: str, ca: Path | None, limits: Limits) -> None:
        """See `Http`."""
        # Packagist blocks whoever it cannot write to, and looks for an address behind `mailto=`.
        said = f" (mailto={contact})" if "@" in contact else f" ({contact})" if contact else ""
        agent = f"toplayer/{version('toplayer')}{said}"
        self._headers = {
            "user-agent": " ".join(inert(agent, 200).encode("ascii", "replace").decode().split()),
            "accept-encoding": "gzip",
        }
        self._shared: dict[_Server, bool] = {}
        self._first: dict[_Server, asyncio.Lock] = {}
        stall = dict.fromkeys(("connect", "read", "write", "pool"), limits.stall)
        self._extensions = {"timeout": stall}
        self._environment = getproxies_environment()
        kept = httpx.Limits(max_connections=limits.at_once, max_keepalive_connections=limits.at_once)
        try:
            trusted = httpx.create_ssl_context()
            if ca is not None:
                trusted.load_verify_locations(ca)
            self._make = partial(httpx.AsyncHTTPTransport, verify=trusted, http2=True, limits=kept)
            self._lanes = {0: self._make()}
            self._by_proxy = {
                scheme: httpx.AsyncHTTPTransport(verify=trusted, http2=True, limits=kept, proxy=proxy)
                for scheme in ("http", "https")
                if (proxy := self._proxy(scheme))
            }
        except (OSError, ValueError, ImportError, httpx.InvalidURL) as error:
            # A certificate file that is not there, or a proxy that needs more than we have.
            expected = "certificates and proxies that can be used"
            raise SettingsRefused("environment", [f"expected {expected}, got: {error}"]) from error

    def _proxy(self, scheme: str) -> str:
        proxy = self._environment.get(scheme) or self._environment.get("all", "")
        return f"http://{proxy}" if proxy and "://" not in proxy else proxy

    async def send(
        self, method: str, url: httpx.URL, headers: Mapping[str, str], body: bytes, lane: int
    ) -> httpx.Response:
        """The answer, of which only the head has been read. Raises what httpx raises.

        Whoever sends requests one after the other is a `lane`, and has connections of its own: a pool looks at each of
        its idle ones on each request. But a server that speaks HTTP/2 has one for all, so its first answer is awaited.
        """
        request = httpx.Request(
            method, url, headers={**self._headers, **headers}, content=body or None, extensions=self._extensions
        )
        proxy = self._by_proxy.get(url.scheme)
        if proxy is not None and not proxy_bypass(url.netloc.decode("ascii")):
            return await proxy.handle_async_request(request)
        server = url.scheme, url.host, url.port
        if server not in self._shared:
            async with self._first.setdefault(server, asyncio.Lock()):
                if server not in self._shared:
                    return await self._asked_first(server, request)
        return await self._lane(0 if self._shared[server] else lane).handle_async_request(request)

    async def _asked_first(self, server: _Server, request: httpx.Request) -> httpx.Response:
        version = b""
        try:
            answer = await self._lane(0).handle_async_request(request)
            version = answer.extensions.get("http_version", b"")
            return answer
        finally:
            self._shared[server] = version == b"HTTP/2"

    def _lane(self, number: int) -> httpx.AsyncHTTPTransport:
        if number not in self._lanes:
            self._lanes[number] = self._make()
        return self._lanes[number]

    async def close(self) -> None:
        """Gives the connections back."""
        await asyncio.gather(*(wire.aclose() for wire in (*self._lanes.values(), *self._by_proxy.values())))
