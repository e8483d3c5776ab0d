"""One request and its answer: attempts, redirects, the body. Above this package nobody knows httpx and httpcore."""

import asyncio
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpcore
import httpx

from watcher.errors import IndexUnreachable
from watcher.http.address import is_private
from watcher.http.body import Body
from watcher.http.message import Limits, Request, Response
from watcher.http.network import Private
from watcher.http.wires import Answer, Wires

_REDIRECTS = (301, 302, 303, 307, 308)
_NOT_NOW = (408, 425, 429)
_KEYS = ("authorization", "private-token")


class _Failed(Exception):
    """An attempt that came to nothing. `again`: the next one may do better, `wait` seconds later if the server said."""

    def __init__(self, why: str, *, again: bool = False, wait: float | None = None) -> None:
        self.why, self.again, self.wait = why, again, wait
        super().__init__(why)


class Exchange:
    """A request on its way over `wires`. `large` lets one large answer at a time be read; `held` says what the result
    occupies."""

    def __init__(self, request: Request, wires: Wires, limits: Limits, large: asyncio.Semaphore) -> None:
        self.held: list[asyncio.Semaphore] = []
        self._request, self._wires, self._limits, self._large = request, wires, limits, large

    async def answer(self) -> Response | IndexUnreachable:
        """The answer, or why there is none: within the deadline, whatever the server does."""
        url = self._request.url
        try:
            async with asyncio.timeout(self._limits.deadline):
                return await self._tried()
        except TimeoutError:
            return IndexUnreachable(url, f"no whole answer within {self._limits.deadline:g} s")
        except _Failed as failed:
            return IndexUnreachable(url, failed.why, failed.wait)

    async def _tried(self) -> Response:
        limits = self._limits
        for attempt in range(1, limits.attempts + 1):
            try:
                return await self._followed()
            except _Failed as failed:
                wait = _pause(self._request.url, attempt, limits.pause) if failed.wait is None else failed.wait
                if not failed.again or attempt == limits.attempts or wait > limits.patience:
                    raise
            await asyncio.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    async def _followed(self) -> Response:
        request, guarded = self._request, self._request.guarded
        try:
            home = url = _anonymous(httpx.URL(request.url))
            if url.scheme not in ("http", "https") or not url.host:
                raise _Failed("expected an http:// or https:// address")
            for _ in range(self._limits.redirects + 1):
                mine = url is home or _origin(url) == _origin(home)
                headers = {n: v for n, v in request.headers.items() if mine or n.lower() not in _KEYS}
                try:
                    response, peer = await self._sent(url, headers, guarded=guarded)
                except Private as error:
                    leads = "is at" if url is home else "redirects to"
                    said = f"it {leads} the private address {error}; if that is right, set `private = true`"
                    raise _Failed(said) from error
                if response.status not in _REDIRECTS or request.method != "GET":
                    return response
                if url is home and not request.private:
                    guarded = guarded or not await is_private(peer)
                url = _next(url, response.headers.get("location", ""))
        except (httpx.InvalidURL, UnicodeError) as error:
            raise _Failed(f"this is no address ({error})") from error
        raise _Failed(f"it redirects more than {self._limits.redirects} times")

    async def _sent(self, url: httpx.URL, headers: Mapping[str, str], *, guarded: bool) -> tuple[Response, str]:
        """The answer, and who gave it. A `guarded` request stays on the public network."""
        request = self._request
        try:
            async with self._wires.asked(request.method, url, headers, request.body, guarded=guarded) as answer:
                status = answer.status
                if status >= 500 or status in _NOT_NOW:
                    raise _Failed(f"it says {status} {answer.reason}".strip(), again=True, wait=_wait(answer))
                return Response(str(url), status, answer.headers, await self._read(answer)), answer.peer
        except Private:
            raise
        except httpcore.TimeoutException as error:
            raise _Failed(f"nothing moved for {self._limits.stall:g} s", again=True) from error
        except _BROKEN as error:
            raise _Failed(_innermost(error), again=True) from error

    async def _read(self, answer: Answer) -> bytes:
        try:
            body = Body(answer.headers.get("content-encoding", "").lower(), self._limits.largest)
            async for raw in answer.body:
                for length in body.add(raw):
                    if length > self._limits.large and self._large not in self.held:
                        await self._large.acquire()
                        self.held.append(self._large)
            return body.whole()
        except ValueError as error:
            raise _Failed(str(error)) from error


_BROKEN = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError, httpcore.ConnectionNotAvailable)


def _next(url: httpx.URL, location: str) -> httpx.URL:
    target = _anonymous(url.join(location))
    if target.scheme not in ("http", "https") or (url.scheme, target.scheme) == ("https", "http"):
        raise _Failed(f"it redirects from {url.scheme} to {target.scheme[:20] or 'nowhere'}")
    return target


def _anonymous(url: httpx.URL) -> httpx.URL:
    """Names and passwords in addresses are nobody's: credentials come as a header."""
    return url.copy_with(userinfo=b"") if url.userinfo else url


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _pause(url: str, attempt: int, first: float) -> float:
    """Twice as long each time, and a quarter more or less by name: what fails together does not come back together."""
    return float(
        first
        * (1 << (attempt - 1))
        * (0.75 + 0.5 * zlib.crc32(f"{url}/{attempt}".encode(errors="replace")) / 0xFFFFFFFF)
    )


def _wait(answer: Answer) -> float | None:
    """Seconds that the server asks us to wait: Retry-After as a number or as a date (RFC 9110, section 10.2.3)."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    until = _date(text)
    # By the server's own clock if it shows it: ours may be another.
    since = _date(answer.headers.get("date", "")) or datetime.now(UTC)
    return max((until - since).total_seconds(), 0.0) if until else None


def _date(text: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _innermost(error: BaseException) -> str:
    """The words of the system call that failed: the libraries on top of it say less and less."""
    said, inner = str(error), error.__cause__ or error.__context__
    while inner is not None:
        said = (inner.strerror or said) if isinstance(inner, OSError) and inner.errno is not None else said
        inner = inner.__cause__ or inner.__context__
    return said or type(error).__name__
