"""Many requests at once, for callers that know nothing of asynchrony.

The requests live in a thread of their own, so that an answer with which the caller takes its time does not cost the
others their deadlines.

HTTP/2 is spoken where the server offers it: 1,000 conditional requests are then a handful of packets on one connection.
`make bench-watch` shows what they cost.
"""

import asyncio
import queue
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from watcher.errors import IndexUnreachable
from watcher.http.exchange import Exchange
from watcher.http.message import Limits, Request, Response
from watcher.http.wires import Wires

_GIVEN_UP_AFTER = 10
"""Requests that fail in a row, after which a server is left alone for the rest."""


class Http:
    """The client: a context manager, and safe to share between threads."""

    def __init__(self, contact: str = "", *, ca: Path | None = None, limits: Limits | None = None) -> None:
        """`contact` (how people reach you) stands in the User-Agent; `ca` is trusted besides the public authorities.

        Proxies and SSL_CERT_FILE are taken from the environment. A `SettingsRefused` says what cannot be used.
        """
        self._limits = limits or Limits()
        self._wires = Wires(contact, ca, self._limits)
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._over: asyncio.Event

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join()

    def _started(self) -> None:
        """The thread is there with the first request: in most rounds an index is not asked anything."""
        with self._starting:
            if self._thread is None:
                up: Future[None] = Future()
                thread = threading.Thread(target=self._run, args=(up,), name="http", daemon=True)
                thread.start()
                up.result()
                self._thread = thread

    def _run(self, up: "Future[None]") -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._live(up))
        except Exception as error:
            # Who waits for the thread would wait for ever.
            if up.done():
                raise
            up.set_exception(error)

    async def _live(self, up: Future[None]) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        up.set_result(None)
        await self._over.wait()
        abandoned = asyncio.all_tasks() - {asyncio.current_task()}
        for task in abandoned:
            task.cancel()
        await asyncio.gather(*abandoned, return_exceptions=True)
        await self._wires.close()

    def one(self, request: Request) -> Response:
        """The answer. Raises `IndexUnreachable` if there is none."""
        ((_, result),) = self.many([request])
        if isinstance(result, IndexUnreachable):
            raise result
        return result

    def many(
        self, requests: Sequence[Request], *, later: bool = False
    ) -> Iterator[tuple[Request, Response | IndexUnreachable]]:
        """Each request with its answer, or with the reason why there is none, in the order in which they come.

        A server that fails ten times in a row, or asks to be left alone for long, is not asked for the rest. `later`
        gives servers the moment that they need to agree with each other (`Limits.lag`).
        """
        if not requests:
            return
        self._started()
        crew = _Crew(self._wires, self._limits, requests)
        work = asyncio.run_coroutine_threadsafe(crew.work(self._limits.lag if later else 0.0), self._loop)
        work.add_done_callback(lambda _: crew.done.put(None))
        try:
            while (done := crew.done.get()) is not None:
                yield done.request, done.result
                self._loop.call_soon_threadsafe(done.free)
                del done  # the bytes are the caller's now: they do not wait here for the next answer
            work.result()
        finally:
            work.cancel()


@dataclass(frozen=True, slots=True)
class _Done:
    """A result on its way to the caller, and what it occupies until the caller comes back for the next one."""

    request: Request
    result: Response | IndexUnreachable
    held: Sequence[asyncio.Semaphore]

    def free(self) -> None:
        for place in self.held:
            place.release()


class _Crew:
    """The workers of one `many`, and what they have learned of the servers that they ask."""

    def __init__(self, wires: Wires, limits: Limits, requests: Sequence[Request]) -> None:
        self.done: queue.SimpleQueue[_Done | None] = queue.SimpleQueue()
        self._wires, self._limits = wires, limits
        self._waiting = iter(requests)
        self._room, self._large = asyncio.Semaphore(2 * limits.at_once), asyncio.Semaphore(1)
        self._failures: Counter[str] = Counter()
        self._closed: dict[str, IndexUnreachable] = {}
        self._until = 0.0

    async def work(self, after: float) -> None:
        await asyncio.sleep(after)
        self._until = asyncio.get_running_loop().time() + self._limits.all_begun
        async with asyncio.TaskGroup() as group:
            for _ in range(self._limits.at_once):
                group.create_task(self._worker())

    async def _worker(self) -> None:
        for request in self._waiting:
            await self._room.acquire()
            server = "/".join(request.url.split("/", 3)[:3])
            exchange = Exchange(request, self._wires, self._limits, self._large)
            result = self._without_asking(request, server) or await exchange.answer()
            self._learn(server, result)
            self.done.put(_Done(request, result, [self._room, *exchange.held]))

    def _without_asking(self, request: Request, server: str) -> IndexUnreachable | None:
        if asyncio.get_running_loop().time() > self._until:
            return IndexUnreachable(
                request.url, f"not asked: what came before it has taken {self._limits.all_begun:g} s already"
            )
        closed = self._closed.get(server)
        if closed is None:
            return None
        return IndexUnreachable(
            request.url, f"not asked, because of what came before: {closed.why}", closed.retry_after
        )

    def _learn(self, server: str, result: Response | IndexUnreachable) -> None:
        if isinstance(result, Response):
            self._failures[server] = 0
            return
        self._failures[server] += 1
        if self._failures[server] >= _GIVEN_UP_AFTER or (result.retry_after or 0) > self._limits.patience:
            self._closed.setdefault(server, result)
