"""A forge on loopback: HTTP in front of a hub, in the dialect of one kind of forge, with bad days.

Every request and every answer is checked against what the forge has published about its API; what does not fit is a
`misfit`, and fails the test that looks at `misfits` (the fixture does).
"""

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.rig.forges.hub import Denied, Hub
from tests.rig.loopback import Handler, Loopback

PROJECT = "team/shop"


@dataclass(frozen=True)
class Asked:
    """One request, parsed. `path` is without the prefix of the API."""

    verb: str
    path: str
    query: Mapping[str, str]
    body: Any
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Fault:
    """What is answered in place of the truth to the next request whose `verb path` matches."""

    pattern: str
    status: int
    said: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None


Answer = tuple[int, Any]


class Dialect(Protocol):
    """One kind of forge."""

    @property
    def prefixes(self) -> tuple[str, ...]: ...

    def is_known(self, asked: Asked, hub: Hub) -> bool:
        """Whether the request shows the token as this forge wants it."""
        ...

    def answer(self, asked: Asked, hub: Hub, home: str) -> Answer:
        """Status and body. Raises `Denied`, and `Misfit` for what is not in the published description."""
        ...

    def denied(self, denied: Denied) -> Any:
        """The body that says no."""
        ...


class Misfit(Exception):
    """A request or an answer that is not as the forge's description has it."""


@dataclass
class ForgeServer:
    """`url` is what the settings name; `requests` are those that came in, as `VERB path`.

    `faults` are answered in place of what was asked for, `spoil` in place of the answer to what was done.
    """

    hub: Hub
    dialect: Dialect
    url: str = ""
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    misfits: list[str] = field(default_factory=list)
    spoil: Fault | None = None

    def changes(self) -> list[str]:
        """The requests that ask for a change."""
        return [one for one in self.requests if not one.startswith("GET ")]


@contextlib.contextmanager
def forge_server(hub: Hub, dialect: Dialect) -> Iterator[ForgeServer]:
    """The server, until the block ends; then nothing may have been amiss."""
    forge = ForgeServer(hub, dialect)
    with Loopback(_Handler, forge) as http:
        forge.url = http.url
        yield forge
    assert not forge.misfits, "\n".join(forge.misfits)


def route(table: Mapping[str, Callable[..., Answer]], asked: Asked) -> tuple[Callable[..., Answer], list[str]]:
    """The row of `VERB /path/{}` that the request is for, and what stands in its braces."""
    for row, handler in table.items():
        pattern = re.escape(row).replace(r"\{\}", "([^/]+)").replace(r"\{\*\}", "(.+)")
        found = re.fullmatch(pattern, f"{asked.verb} {asked.path}")
        if found:
            return handler, [unquote(group) for group in found.groups()]
    raise Misfit(f"{asked.verb} {asked.path} is not in the description")


class _Handler(Handler):
    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def _serve(self) -> None:
        forge: ForgeServer = self.server.owner
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length", 0))
        raw = self.rfile.read(length)
        if len(raw) < length:
            self.close_connection = True  # whoever asked is dead, and what is not whole was never asked
            return None
        prefix = next((one for one in forge.dialect.prefixes if url.path.startswith(one)), "")
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = url.path.removeprefix(prefix)
        forge.requests.append(f"{self.command} {path}")
        fault = next((one for one in forge.faults if re.search(one.pattern, f"{self.command} {path}")), None)
        if fault is not None:
            forge.faults.remove(fault)
            return self._say(fault.status, fault.raw or json.dumps({"message": fault.said}).encode(), fault.headers)
        try:
            body = json.loads(raw) if raw else None
            asked = Asked(self.command, path, dict(parse_qsl(url.query)), body, headers)
            if not forge.dialect.is_known(asked, forge.hub):
                raise Denied(401, "Bad credentials")
            if not forge.hub.is_there:
                raise Denied(404, "Not Found")
            with forge.hub.lock:
                status, said = forge.dialect.answer(asked, forge.hub, forge.url)
            if forge.spoil is not None and re.search(forge.spoil.pattern, f"{self.command} {path}"):
                # It was done, and nobody hears of it.
                fault, forge.spoil = forge.spoil, None
                return self._say(fault.status, json.dumps({"message": fault.said}).encode(), fault.headers)
        except Denied as denied:
            status, said = denied.status, forge.dialect.denied(denied)
        except Exception as error:
            forge.misfits.append(f"{self.command} {self.path}: {error!r}")
            status, said = 400, {"message": f"misfit: {error}"}
        return self._say(status, b"" if said is None else json.dumps(said, default=str).encode(), {})

    def _say(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
