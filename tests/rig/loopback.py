"""HTTP servers of the tests' own: on loopback, in a thread, from the beginning of a block to its end."""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class Loopback(ThreadingHTTPServer):
    """A server on a free port, as a context manager. `owner` is whom its handlers serve; its port is known at once."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler: type[BaseHTTPRequestHandler], owner: Any) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """`http://127.0.0.1:port`."""
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client may hang up when it likes. Everything else is a fault of the rig, and is shown."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection. It keeps no log: what was asked is for the owner to note."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    server: Loopback
    # Headers and body would else travel in two packets, and wait for each other.
    wbufsize = -1

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


class Served:
    """What answers over HTTP while it is used as a context manager."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self._server = Loopback(handler, self)

    @property
    def url(self) -> str:
        """Its address, from the beginning."""
        return self._server.url

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.__exit__(kind, error, at)
