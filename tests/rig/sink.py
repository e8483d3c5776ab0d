"""A receiver of notices on loopback, with bad days."""

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Posted:
    """One notice that came in."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Sink:
    """Takes every POST. While `status` is not 200, it takes none and says so."""

    status: int = 200
    taken: list[Posted] = field(default_factory=list)
    refused: int = 0

    def __enter__(self) -> Self:
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if sink.status == 200:
                    sink.taken.append(Posted(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                else:
                    sink.refused += 1
                self.send_response(sink.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"
