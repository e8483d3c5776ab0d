"""The connections to one server: used again, never while they are busy, and not once they are closed."""

import asyncio
from collections.abc import Awaitable, Callable

import httpcore

from watcher.http.network import Network
from watcher.http.server import Server

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Upstream:
    """Answers what `says` says, and counts connections. A wish for `slow` waits until `go` is set."""

    def __init__(self, says: bytes = OK) -> None:
        self.says, self.go = says, asyncio.Event()
        self.served: list[asyncio.Task[None] | None] = []

    @property
    def connections(self) -> int:
        return len(self.served)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.served.append(asyncio.current_task())
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if b"/slow" in head:
                    await self.go.wait()
                writer.write(self.says)
                if b"close" in self.says:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()


def run(upstream: Upstream, visit: Callable[[Server, str], Awaitable[None]]) -> None:
    async def main() -> None:
        async with await asyncio.start_server(upstream.serve, "127.0.0.1", 0) as listening:
            url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
            origin = httpcore.URL(url).origin
            network = Network(guarded=False)
            server = Server(lambda: httpcore.AsyncHTTPConnection(origin, network_backend=network))
            await visit(server, url)
            await server.close()
            upstream.go.set()
            await asyncio.gather(*filter(None, upstream.served))

    asyncio.run(main())


async def ask(server: Server, url: str) -> bytes:
    request = httpcore.Request("GET", url, headers={"host": "index.example"})
    async with server.answer(request) as response:
        return b"".join([part async for part in response.aiter_stream()])


def test_one_after_another_they_share_a_connection() -> None:
    upstream = Upstream()

    async def visit(server: Server, url: str) -> None:
        assert [await ask(server, url) for _ in range(5)] == [b"ok"] * 5

    run(upstream, visit)
    assert upstream.connections == 1


def test_a_connection_that_is_busy_is_nobody_elses() -> None:
    upstream = Upstream()

    async def visit(server: Server, url: str) -> None:
        await ask(server, url)
        slow = asyncio.create_task(ask(server, f"{url}/slow"))
        await asyncio.sleep(0.01)
        assert await ask(server, url) == b"ok"
        upstream.go.set()
        assert await slow == b"ok"
        await asyncio.gather(ask(server, url), ask(server, url))

    run(upstream, visit)
    assert upstream.connections == 2


def test_what_the_server_has_closed_is_not_used_again() -> None:
    upstream = Upstream(OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))

    async def visit(server: Server, url: str) -> None:
        assert [await ask(server, url) for _ in range(3)] == [b"ok"] * 3

    run(upstream, visit)
    assert upstream.connections == 3


def test_a_request_that_is_given_up_takes_its_connection_along() -> None:
    upstream = Upstream()

    async def visit(server: Server, url: str) -> None:
        slow = asyncio.create_task(ask(server, f"{url}/slow"))
        await asyncio.sleep(0.01)
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
        assert await ask(server, url) == b"ok", "and not the answer to the other one"

    run(upstream, visit)
    assert upstream.connections == 2
