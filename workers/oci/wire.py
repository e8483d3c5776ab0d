"""HTTP to one server: attempts, credentials, redirects, and a watch on whether anything moves.

Above this file nobody knows httpx. What is asked is a function that may be called again: a server that fails, asks for
patience or breaks the connection is asked again until `patience` is used up without anything having come of it.
"""

import asyncio
import os
import ssl
import threading
import weakref
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import httpx

from watcher.address import is_loopback
from workers.oci.answer import HINT, Answer, Content, WireFailed
from workers.oci.keys import Keys
from workers.oci.watch import STALL, Watch

T = TypeVar("T")
PATIENCE = 60.0
"""Seconds after which a server that fails is not asked again, from when the last of a transfer came through."""

_REDIRECTS = (301, 302, 303, 307, 308)
_NOT_NOW = (408, 425, 429, 500, 502, 503, 504)
_LARGEST_TOKEN = 64 * 1024
_HOPS = 6
_RELATIVE = "a registry behind a TLS proxy has to be told so: `http.relativeurls` or `http.host` in its configuration"


class Wire:
    """A client of the server at `home` (`https://host[:port]`). Safe to share between threads, but not across a fork.

    `keys` go to `home` and to the token service that it names, and nowhere else. `ca` is trusted besides the public
    authorities. Connections are kept until the last reference to the wire is gone.
    """

    def __init__(
        self, home: str, keys: Keys, *, ca: Path | None = None, patience: float = PATIENCE, stall: float = STALL
    ) -> None:
        self.home, self._keys, self._patience, self._stall = httpx.URL(home), keys, patience, stall
        self._client = _client(self.home, ca)
        self._loop, over = asyncio.new_event_loop(), asyncio.Event()
        thread = threading.Thread(target=_live, args=(self._loop, self._client, over), name="wire", daemon=True)
        thread.start()
        weakref.finalize(self, self._loop.call_soon_threadsafe, over.set)

    def run(self, work: Coroutine[None, None, T]) -> T:
        """The result of asynchronous work, for callers that know nothing of asynchrony."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def tried(self, attempt: Callable[[], Awaitable[T]], further: Callable[[], bool] = lambda: False) -> T:
        """What `attempt` gives, which is called again after a `WireFailed` that may pass.

        `further` says whether the last attempt has come further than all before it: then our patience begins anew,
        because what takes an hour may break after half of it.
        """
        until, number = self._loop.time() + self._patience, 0
        while True:
            try:
                return await attempt()
            except WireFailed as failed:
                if further():
                    until, number = self._loop.time() + self._patience, 0
                number += 1
                wait = _pause(str(self.home), number) if failed.wait is None else failed.wait
                if not failed.again or self._loop.time() + wait > until:
                    raise
            await asyncio.sleep(wait)

    @asynccontextmanager
    async def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: Content | bytes = b"",
        size: int = 0,
    ) -> AsyncIterator[Answer]:
        """The answer to one request. `content` gives a body of `size` bytes, or is one.

        GET and HEAD follow redirects, though never from https to http. Raises `WireFailed` if there is no answer: a
        status that means "not now" is none, every other status is one.
        """
        target, questions = _next(self.home, url), 0
        async with Watch(self._stall) as watch:
            for _ in range(_HOPS):
                ours = _origin(target) == _origin(self.home)
                sent = dict(headers or {}) | (self._keys.header() if ours else {})
                async with self._send(watch, method, target, sent, content, size) as response:
                    status = response.status_code
                    if status == 401 and ours:
                        questions += 1
                        await self._identify(response, sent, questions, callable(content))
                    elif status in _REDIRECTS and method in ("GET", "HEAD"):
                        target = _next(target, response.headers.get("location", ""))
                    else:
                        named = {name.lower(): text for name, text in response.headers.items()}
                        yield Answer(status, named, _moving(response, watch))
                        return
            raise WireFailed("it redirects in circles")

    async def _identify(self, response: httpx.Response, sent: Mapping[str, str], asked: int, uploading: bool) -> None:
        if asked > 2:
            raise WireFailed("it does not accept the token that its own service gave us", status=401, hint=HINT)
        await self._keys.satisfy(response.headers.get_list("www-authenticate"), sent, self._token)
        if uploading:
            raise WireFailed("it asked who we are in the middle of an upload", again=True, wait=0.0)

    async def _token(self, url: str, headers: Mapping[str, str]) -> bytes:
        target = _next(self.home, url)
        async with Watch(self._stall) as watch, self._send(watch, "GET", target, headers, b"", 0) as response:
            if response.status_code != 200:
                why = f"its token service says {response.status_code} {response.reason_phrase}"
                raise WireFailed(why, hint=HINT if response.status_code in (401, 403) else "")
            return await Answer(200, {}, _moving(response, watch)).whole(_LARGEST_TOKEN)

    @asynccontextmanager
    async def _send(
        self,
        watch: Watch,
        method: str,
        url: httpx.URL,
        headers: Mapping[str, str],
        content: Content | bytes,
        size: int,
    ) -> AsyncIterator[httpx.Response]:
        """One exchange. Whatever goes wrong on the way is a `WireFailed`."""
        try:
            if callable(content):
                sent = {"content-length": str(size), **headers}
                request = self._client.build_request(method, url, headers=sent, content=watch.over(content()))
            else:
                request = self._client.build_request(method, url, headers=headers, content=content)
            response = await self._client.send(request, stream=True)
            watch.anew()
            try:
                if response.status_code in _NOT_NOW:
                    why = f"it says {response.status_code} {response.reason_phrase}".strip()
                    raise WireFailed(why, again=True, wait=_wait(response.headers), status=response.status_code)
                yield response
            finally:
                await response.aclose()
        except httpx.TransportError as error:
            raise _transport(error) from error
        except (httpx.InvalidURL, UnicodeError) as error:
            raise WireFailed(f"it cannot be understood ({error})") from error


async def _moving(response: httpx.Response, watch: Watch) -> AsyncIterator[bytes]:
    async for chunk in response.aiter_raw():
        yield chunk
        watch.moved(len(chunk))


@cache
def _public() -> ssl.SSLContext:
    """The public authorities, or those that SSL_CERT_FILE names: read once, because it takes 40 ms.

    Not the context of `watcher.http`: a client writes its protocols into it with each connection, and ours are others.
    """
    return httpx.create_ssl_context()


def _client(home: httpx.URL, ca: Path | None) -> httpx.AsyncClient:
    trusted = _public()
    if ca is not None:
        trusted = httpx.create_ssl_context()
        trusted.load_verify_locations(ca)
    return httpx.AsyncClient(
        verify=trusted,
        headers={"user-agent": f"toplayer/{version('toplayer')}", "accept-encoding": "identity"},
        timeout=httpx.Timeout(None, connect=15.0),
        limits=httpx.Limits(max_connections=8, max_keepalive_connections=8),
        trust_env=not is_loopback(home.host),
    )


def _live(loop: asyncio.AbstractEventLoop, client: httpx.AsyncClient, over: asyncio.Event) -> None:
    async def live() -> None:
        async with client:
            await over.wait()
            left = asyncio.all_tasks() - {asyncio.current_task()}
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(live())
    finally:
        loop.close()


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _next(url: httpx.URL, location: str) -> httpx.URL:
    target = url.join(location).copy_with(userinfo=b"")
    if target.scheme not in ("http", "https") or (url.scheme, target.scheme) == ("https", "http"):
        raise WireFailed(f"it leads from {url.scheme} to {target.scheme[:20] or 'nowhere'}", hint=_RELATIVE)
    return target


def _pause(name: str, attempt: int) -> float:
    """Twice as long each time up to 5 s, a quarter more or less by name: what fails together comes back apart."""
    spread = zlib.crc32(f"{name}/{threading.get_ident()}/{attempt}".encode()) / 0xFFFFFFFF
    return min(0.1 * (1 << min(attempt - 1, 10)), 5.0) * (0.75 + 0.5 * spread)


def _wait(headers: httpx.Headers) -> float | None:
    """Seconds that the server asks us to wait: Retry-After as a number or as a date (RFC 9110, section 10.2.3)."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max((parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return None


def _transport(error: httpx.TransportError) -> WireFailed:
    said, inner = str(error), error.__cause__ or error.__context__
    while inner is not None:
        if isinstance(inner, ssl.SSLCertVerificationError):
            return WireFailed(
                f"its certificate is not trusted: {inner.verify_message}", hint="name its authority as `ca`"
            )
        if isinstance(inner, ssl.SSLError) and inner.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
            return WireFailed("it does not speak TLS", hint="if that is right, set `plain_http = true`")
        if isinstance(inner, OSError) and inner.errno is not None and not isinstance(inner, ssl.SSLError):
            # Resolvers have numbers of their own, below zero.
            said = os.strerror(inner.errno) if inner.errno > 0 else inner.strerror or said
        inner = inner.__cause__ or inner.__context__
    return WireFailed(said or type(error).__name__, again=True)
