"""Connections are opened to addresses that were looked at."""

import asyncio
from collections.abc import Awaitable, Callable

import httpcore
import pytest

from tests.rig.process import free_port
from watcher.http.network import Network, Private

Visit = Callable[[int], Awaitable[None]]


def visitors(visit: Visit) -> int:
    """How many connections a server on loopback has seen after the visit to its port."""
    seen: list[asyncio.StreamWriter] = []

    async def main() -> None:
        async with await asyncio.start_server(lambda _, writer: seen.append(writer), "127.0.0.1", 0) as server:
            await visit(server.sockets[0].getsockname()[1])
            await asyncio.sleep(0)
            for writer in seen:
                writer.close()

    asyncio.run(main())
    return len(seen)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_name_leads_to_the_server_that_has_one_of_its_addresses(host: str) -> None:
    async def visit(port: int) -> None:
        stream = await Network(guarded=False).connect_tcp(host, port, timeout=5.0)
        assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"
        await stream.aclose()

    assert visitors(visit) == 1


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1", "2130706433"])
def test_who_stays_public_does_not_even_knock_at_a_private_address(host: str) -> None:
    async def visit(port: int) -> None:
        with pytest.raises(Private, match=host):
            await Network(guarded=True).connect_tcp(host, port, timeout=5.0)

    assert visitors(visit) == 0


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 300, "127.0.0.1"])
def test_where_nobody_answers_there_is_no_connection(host: str) -> None:
    with pytest.raises(httpcore.ConnectError):
        asyncio.run(Network(guarded=False).connect_tcp(host, free_port(), timeout=5.0))
