"""The connections: direct ones, and those by way of the environment's proxies.

Built from httpcore's connections. Of its pool, and of httpx on top of it, nothing is needed: cookies, redirects and
unpacking are done by us or by nobody, and without them a request costs a third less CPU.
"""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from http.client import responses
from importlib.util import find_spec
from pathlib import Path
from urllib.request import getproxies_environment, proxy_bypass

import httpcore
import httpx

from watcher.errors import SettingsRefused
from watcher.http.address import is_private
from watcher.http.message import Limits
from watcher.http.network import Network, Private
from watcher.http.server import Server
from watcher.inert import inert
from watcher.program import program


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, of which only the head has been read. `headers` have lower-case names; `peer` is the address that it
    came from, or the name of a server behind a proxy."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: AsyncIterator[bytes]
    peer: str


class Wires:
    """Sends one request over a connection that fits."""

    def __init__(self, contact: str, ca: Path | None, limits: Limits) -> None:
        """See `Http`."""
        # Packagist blocks whoever it cannot write to, and looks for an address behind `mailto=`.
        said = f" (mailto={contact})" if "@" in contact else f" ({contact})" if contact else ""
        agent = f"toplayer/{program()}{said}"
        self._headers = {
            "user-agent": " ".join(inert(agent, 200).encode("ascii", "replace").decode().split()),
            "accept-encoding": "gzip",
        }
        self._servers: dict[tuple[str, str, int | None, bool], Server] = {}
        self._extensions = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), limits.stall)}
        self._environment = getproxies_environment()
        try:
            self._trusted = _trust(ca)
            self._by_proxy = {
                scheme: self._pool(proxy, limits.at_once)
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

    def _pool(self, proxy: str, at_once: int) -> httpcore.AsyncConnectionPool:
        read = httpx.Proxy(proxy)
        if read.url.scheme.startswith("socks") and find_spec("socksio") is None:
            raise ImportError("a SOCKS proxy needs the package socksio")
        return httpcore.AsyncConnectionPool(
            ssl_context=self._trusted,
            http2=True,
            max_connections=at_once,
            proxy=httpcore.Proxy(url=_url(read.url), auth=read.raw_auth),
        )

    @asynccontextmanager
    async def asked(
        self, method: str, url: httpx.URL, headers: Mapping[str, str], body: bytes, *, guarded: bool
    ) -> AsyncIterator[Answer]:
        """The answer, while its body is read. Raises what httpcore raises, and `Private` if the request is `guarded`
        and would leave the public network."""
        length = {"content-length": str(len(body))} if body else {}
        sent = {"host": url.netloc.decode("ascii"), **self._headers, **headers, **length}
        request = httpcore.Request(
            method, _url(url), headers=list(sent.items()), content=body or None, extensions=self._extensions
        )
        proxy = self._by_proxy.get(url.scheme)
        if proxy is not None and not proxy_bypass(sent["host"]):
            if guarded and await is_private(url.host):
                raise Private(url.host)
            response = await proxy.handle_async_request(request)
            try:
                yield _answer(response, url.host)
            finally:
                await response.aclose()
            return
        async with self._server(url, guarded=guarded).answer(request) as response:
            peer = response.extensions["network_stream"].get_extra_info("server_addr")
            yield _answer(response, str(peer[0]) if peer else url.host)

    def _server(self, url: httpx.URL, *, guarded: bool) -> Server:
        key = url.scheme, url.host, url.port, guarded
        if key not in self._servers:
            self._servers[key] = Server(
                partial(
                    httpcore.AsyncHTTPConnection,
                    _url(url).origin,
                    ssl_context=self._trusted,
                    http2=True,
                    network_backend=Network(guarded=guarded),
                )
            )
        return self._servers[key]

    async def close(self) -> None:
        """Gives the connections back."""
        await asyncio.gather(
            *(server.close() for server in self._servers.values()), *(pool.aclose() for pool in self._by_proxy.values())
        )


def _trust(ca: Path | None) -> ssl.SSLContext:
    """Whom we believe who they are: the public authorities, or those that the environment names; and `ca`."""
    named = [os.environ.get(name, "") for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")]
    files = [*named, str(ca or "")]
    return _context(tuple((file, Path(file).stat().st_mtime_ns) for file in files if file), ca)


# Reading a hundred certificates takes as long as a hundred requests, and every poll has a client of its own.
@lru_cache(maxsize=4)
def _context(_read: tuple[tuple[str, int], ...], ca: Path | None) -> ssl.SSLContext:
    context = httpx.create_ssl_context()
    if ca is not None:
        context.load_verify_locations(ca)
    return context


def _url(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


def _answer(response: httpcore.Response, peer: str) -> Answer:
    headers: dict[str, str] = {}
    for name, value in response.headers:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    reason = response.extensions.get("reason_phrase", b"").decode("latin-1") or responses.get(response.status, "")
    return Answer(response.status, reason, headers, response.aiter_stream(), peer)
