"""The index on loopback once more, over TLS and HTTP/2, as PyPI speaks it."""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import Future

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived

from tests.rig.certs import Certs
from tests.rig.simple_index import SimpleIndex


@contextlib.contextmanager
def over_http2(index: SimpleIndex, certs: Certs) -> Iterator[str]:
    """The origin (`https://localhost:port`) of a server that answers what `index` answers, until the block ends."""
    up: Future[int] = Future()
    over = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(index, certs, up, over)), daemon=True)
    thread.start()
    try:
        yield f"https://localhost:{up.result()}"
    finally:
        over.set()
        thread.join()


async def _serve(index: SimpleIndex, certs: Certs, up: Future[int], over: threading.Event) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certs.server_cert, certs.server_key)
    context.set_alpn_protocols(["h2"])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Http2(index), "127.0.0.1", 0, ssl=context)
    async with server:
        up.set_result(server.sockets[0].getsockname()[1])
        await asyncio.to_thread(over.wait)


class _Http2(asyncio.Protocol):
    def __init__(self, index: SimpleIndex) -> None:
        self._index = index
        self._state = H2Connection(H2Configuration(client_side=False))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._wire = transport
        self._state.initiate_connection()
        self._wire.write(self._state.data_to_send())

    def data_received(self, data: bytes) -> None:
        for event in self._state.receive_data(data):
            if isinstance(event, RequestReceived):
                self._answer(event.stream_id, dict(event.headers)[b":path"].decode())
        self._wire.write(self._state.data_to_send())

    def _answer(self, stream: int, path: str) -> None:
        said = self._index.answer(path)
        headers = {":status": str(said.status), **said.headers, "content-length": str(len(said.body))}
        self._state.send_headers(stream, list(headers.items()))
        # Small pages only: what does not fit into the window of a new stream (64 KiB) would have to wait for updates.
        for start in range(0, len(said.body), self._state.max_outbound_frame_size):
            self._state.send_data(stream, said.body[start : start + self._state.max_outbound_frame_size])
        self._state.end_stream(stream)
