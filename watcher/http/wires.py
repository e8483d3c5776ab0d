"""The connections: direct ones, and those by way of the environment's proxies.

Built from httpx's transports instead of its client: the client's cookies, redirects and unpacking are done by us or by
nobody, and without it a request costs a third less.
"""

import asyncio
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from urllib.request import getproxies_environment, proxy_bypass

import httpx

from watcher.errors import SettingsRefused
from watcher.http.message import Limits
from watcher.inert import inert


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
        stall = dict.fromkeys(("connect", "read", "write", "pool"), limits.stall)
        self._extensions = {"timeout": stall}
        self._environment = getproxies_environment()
        kept = httpx.Limits(max_connections=limits.at_once, max_keepalive_connections=limits.at_once)
        try:
            trusted = httpx.create_ssl_context()
            if ca is not None:
                trusted.load_verify_locations(ca)
            self._direct = httpx.AsyncHTTPTransport(verify=trusted, http2=True, limits=kept)
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

    async def send(self, method: str, url: httpx.URL, headers: Mapping[str, str], body: bytes) -> httpx.Response:
        """The answer, of which only the head has been read. Raises what httpx raises."""
        request = httpx.Request(
            method, url, headers={**self._headers, **headers}, content=body or None, extensions=self._extensions
        )
        wire = self._by_proxy.get(url.scheme, self._direct)
        if wire is not self._direct and proxy_bypass(url.netloc.decode("ascii")):
            wire = self._direct
        return await wire.handle_async_request(request)

    async def close(self) -> None:
        """Gives the connections back."""
        await asyncio.gather(*(wire.aclose() for wire in (self._direct, *self._by_proxy.values())))
