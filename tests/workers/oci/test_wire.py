"""A server cannot keep us waiting, and cannot lead us where we do not want to go."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.rig.proxy import Instead, proxy
from watcher.address import is_loopback
from workers.oci.answer import WireFailed
from workers.oci.keys import Keys
from workers.oci.wire import Wire

Script = Callable[[socket.socket], None]


@contextlib.contextmanager
def listener(script: Script) -> Iterator[str]:
    """A server that plays `script` to whoever connects, until the client hangs up."""

    def play() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), connection:
                connection.recv(65536)
                script(connection)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=play, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def trickle(connection: socket.socket) -> None:
    while not over.wait(0.02):
        connection.send(b"x")


def trickles_a_header(connection: socket.socket) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    trickle(connection)


def trickles_a_body(connection: socket.socket) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    trickle(connection)


def says_nothing(connection: socket.socket) -> None:
    over.wait(60)


over = threading.Event()


@pytest.fixture(autouse=True)
def play_ends() -> Iterator[None]:
    over.clear()
    yield
    over.set()


def get(wire: Wire, url: str = "/") -> bytes:
    async def attempt() -> bytes:
        async with wire.ask("GET", url) as answer:
            return await answer.whole(2_000_000)

    return wire.run(wire.tried(attempt))


@pytest.mark.parametrize("script", [trickles_a_header, trickles_a_body, says_nothing])
def test_a_server_in_which_nothing_moves_is_given_up(script: Script) -> None:
    with listener(script) as address:
        with pytest.raises(WireFailed, match="bytes moved in") as caught:
            get(Wire(address, Keys(), patience=0.0, stall=0.3))
        over.set()

    assert caught.value.again


def test_a_server_that_speaks_no_http_is_given_up() -> None:
    with listener(lambda connection: connection.close()) as address, pytest.raises(WireFailed) as caught:
        get(Wire(address, Keys(), patience=0.0))

    assert caught.value.again


def test_redirects_end(request: pytest.FixtureRequest) -> None:
    with proxy("127.0.0.1:1", lambda asked: Instead(307, {"Location": f"{asked.path}x"})) as circle:
        with pytest.raises(WireFailed, match="in circles"):
            get(Wire(f"http://{circle.address}", Keys()))

        assert len(circle.asked) < 10


@pytest.mark.parametrize("location", ["file:///etc/passwd", "gopher://x/", "http://[", "\u00ff"])
def test_a_redirect_to_something_else_is_refused(location: str) -> None:
    with proxy("127.0.0.1:1", lambda asked: Instead(307, {"Location": location})) as there:
        with pytest.raises(WireFailed):
            get(Wire(f"http://{there.address}", Keys(), patience=0.0))

        assert len(there.asked) < 10


def test_nobody_is_led_from_https_to_http() -> None:
    wire = Wire("https://registry.example", Keys("toplayer", "secret"))

    with pytest.raises(WireFailed, match="leads from https to http") as caught:
        get(wire, "http://registry.example/v2/upload")

    assert "relativeurls" in caught.value.hint


@pytest.mark.parametrize(("host", "expected"), [("127.0.0.1", True), ("localhost", True), ("127.example", False)])
def test_loopback_is_this_machine(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
