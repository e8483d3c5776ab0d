"""A loopback proxy in front of an HTTP server, which misbehaves on request."""

import contextlib
import http.client
import itertools
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tests.rig.loopback import Handler, Loopback

_CHUNK = 64 * 1024
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request on its way, with lower-case header names. `number` counts requests, from 0."""

    number: int
    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Instead:
    """What the proxy answers instead of the server."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class CutAfter:
    """The connection breaks after this many bytes of the answer's body; with `upload`, of the request's body."""

    size: int
    upload: bool = False


Behaviour = Callable[[Asked], Instead | CutAfter | None]


def well_behaved(_: Asked) -> None:
    """Everything goes through."""


def half_the_time(asked: Asked) -> Instead | None:
    """Every other request is answered by 500."""
    return Instead(500) if asked.number % 2 == 0 else None


@dataclass(slots=True)
class Proxy:
    """The proxy at `address` (`127.0.0.1:port`). `behaviour` may be exchanged at any time; `asked` is what it saw."""

    address: str
    behaviour: Behaviour
    asked: list[Asked] = field(default_factory=list)


@contextlib.contextmanager
def proxy(target: str, behaviour: Behaviour = well_behaved) -> Iterator[Proxy]:
    """Runs a proxy to the plain HTTP server at `target` (`[http://]host:port`) until the block ends."""
    with _Server(target.removeprefix("http://"), behaviour) as server:
        yield server.proxy


class _Server(Loopback):
    def __init__(self, target: str, behaviour: Behaviour) -> None:
        super().__init__(_Handler, None)
        self.target, self.numbers = target, itertools.count()
        self.proxy = Proxy(f"127.0.0.1:{self.server_port}", behaviour)


class _Handler(Handler):
    # What passes does so at once, so that a cut is where it is meant to be.
    wbufsize = 0
    # Whoever says TLS to it is answered in HTTP, and knows by that what is spoken here.
    default_request_version = "HTTP/1.1"
    server: _Server

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return self._take
        raise AttributeError(name)

    def _take(self) -> None:
        asked = Asked(
            next(self.server.numbers),
            self.command,
            self.path,
            {name.lower(): value for name, value in self.headers.items()},
        )
        self.server.proxy.asked.append(asked)
        instead = self.server.proxy.behaviour(asked)
        if isinstance(instead, Instead):
            for _ in self._chunks():
                pass
            self._answer(instead)
        else:
            self._pass(instead)

    def _answer(self, instead: Instead) -> None:
        self.send_response(instead.status)
        for name, value in instead.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(instead.body)))
        self.end_headers()
        self.wfile.write(instead.body if self.command != "HEAD" else b"")

    def _chunks(self, cut: CutAfter | None = None) -> Iterator[bytes]:
        left = int(self.headers.get("content-length", 0))
        stop = left - cut.size if cut and cut.upload else -1
        while left > 0:
            data = self.rfile.read(min(left, _CHUNK))
            left -= len(data)
            if not data or left <= stop:
                raise ConnectionAbortedError
            yield data

    def _pass(self, cut: CutAfter | None) -> None:
        there = http.client.HTTPConnection(self.server.target, timeout=30)
        try:
            # Engines send one Accept line per media type.
            names = {name for name in self.headers if name.lower() not in _HOP}
            headers = {name: ", ".join(self.headers.get_all(name, [])) for name in names}
            there.request(self.command, self.path, body=self._chunks(cut), headers=headers)
            self._back(there.getresponse(), cut)
        except (OSError, http.client.HTTPException):
            self._break()
        finally:
            there.close()

    def _back(self, answer: http.client.HTTPResponse, cut: CutAfter | None) -> None:
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP | {"date", "server"}:
                self.send_header(name, value)
        self.end_headers()
        passed = 0
        while data := answer.read(_CHUNK):
            if cut and not cut.upload and passed + len(data) > cut.size:
                self.wfile.write(data[: cut.size - passed])
                raise ConnectionAbortedError
            self.wfile.write(data)
            passed += len(data)

    def _break(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
