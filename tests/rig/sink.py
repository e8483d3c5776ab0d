"""A receiver of notices on loopback, with bad days."""

from dataclasses import dataclass

from tests.rig.loopback import Handler, Served


@dataclass(frozen=True)
class Posted:
    """One notice that came in."""

    path: str
    headers: dict[str, str]
    body: bytes


class Sink(Served):
    """Takes every POST. While `status` is not 200, it takes none and says so."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.status = 200
        self.taken: list[Posted] = []
        self.refused = 0


class _Handler(Handler):
    def do_POST(self) -> None:
        sink: Sink = self.server.owner
        body = self.rfile.read(int(self.headers["content-length"]))
        if sink.status == 200:
            sink.taken.append(Posted(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        else:
            sink.refused += 1
        self.send_response(sink.status)
        self.send_header("content-length", "0")
        self.end_headers()
