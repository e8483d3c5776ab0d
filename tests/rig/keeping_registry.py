"""A registry that keeps what it got of an upload that was interrupted, as the distribution specification would have it.

It knows no more than uploads of blobs. docker-registry, which the other tests use, forgets such an upload.
"""

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PLACE = "/v2/shop/blobs/uploads/1"


@dataclass
class KeepingRegistry:
    """Breaks the connection after so many bytes of each request in `breaks`, and after `slow` seconds.

    `got` is what each request has brought.
    """

    address: str = ""
    breaks: list[int] = field(default_factory=list)
    slow: float = 0.0
    upload: bytearray = field(default_factory=bytearray)
    got: list[tuple[str, int]] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    registry: KeepingRegistry

    def handle_error(self, request: object, client_address: object) -> None:
        return  # a broken connection is what it is there for


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def registry(self) -> KeepingRegistry:
        assert isinstance(self.server, _Server)
        return self.server.registry

    def do_HEAD(self) -> None:
        self._answer(200 if self.path.rpartition("/")[2] in self.registry.blobs else 404)

    def do_POST(self) -> None:
        self.registry.upload.clear()
        self._answer(202, location=PLACE)

    def do_GET(self) -> None:
        self._answer(204, location=PLACE, range=f"0-{max(len(self.registry.upload) - 1, 0)}")

    def do_PUT(self) -> None:
        begin = self.headers.get("content-range", "").partition("-")[0]
        if begin and int(begin) != len(self.registry.upload):
            self._answer(416)
            return
        wanted = int(self.headers["content-length"])
        limit = min(self.registry.breaks.pop(0), wanted) if self.registry.breaks else wanted
        data = self.rfile.read(limit)
        self.registry.upload += data
        self.registry.got.append((self.headers.get("content-range", ""), len(data)))
        if limit < wanted:
            threading.Event().wait(self.registry.slow)
            self.connection.close()
            self.close_connection = True
            return
        digest = parse_qs(urlsplit(self.path).query)["digest"][0]
        if digest != f"sha256:{hashlib.sha256(self.registry.upload).hexdigest()}":
            self._answer(400)
            return
        self.registry.blobs[digest] = bytes(self.registry.upload)
        self._answer(201)

    def _answer(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        if status != 204:
            self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return


@contextlib.contextmanager
def keeping_registry(breaks: list[int], slow: float = 0.0) -> Iterator[KeepingRegistry]:
    """Runs it on loopback until the block ends."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        registry = server.registry = KeepingRegistry(breaks=breaks, slow=slow)
        registry.address = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield registry
        finally:
            server.shutdown()
            thread.join()
