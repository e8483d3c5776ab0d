"""An upstream on loopback for benches: it speaks the protocols of PyPI and Packagist, is fast, and counts its costs."""

import asyncio
import gzip
import hashlib
import json
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import date, timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

RELEASES = 40
_DATE = b"Mon, 12 Oct 2026 08:00:00 GMT"
_LONG_AGO = 1_790_000_000


def version(number: int) -> str:
    """The version of a release: the first one is 0."""
    return f"1.{number}.0"


class Answer:
    """What stands at a path: both of its forms, and what is said to who knows it already. Made once."""

    def __init__(self, content: Any, kind: str, *, marked: bool = True, status: str = "200 OK") -> None:
        body = json.dumps(content).encode()
        self.tag = b'"' + hashlib.md5(body, usedforsecurity=False).hexdigest().encode() + b'"' if marked else b""
        marks = b"ETag: " + self.tag + b"\r\nLast-Modified: " + _DATE + b"\r\n" if marked else b""
        self._unchanged = b"HTTP/1.1 304 Not Modified\r\n" + marks + b"\r\n"
        packed = gzip.compress(body, 6, mtime=0)
        self._plain = _head(status, len(body), kind) + marks + b"\r\n" + body
        self._packed = _head(status, len(packed), kind) + b"Content-Encoding: gzip\r\n" + marks + b"\r\n" + packed

    def to(self, asked: Mapping[bytes, bytes]) -> bytes:
        """The answer to a request with these headers."""
        if self.tag and asked.get(b"if-none-match", b"") == self.tag:
            return self._unchanged
        if self.tag and b"if-none-match" not in asked and asked.get(b"if-modified-since") == _DATE:
            return self._unchanged
        return self._packed if b"gzip" in asked.get(b"accept-encoding", b"") else self._plain


def _head(status: str, length: int, kind: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n".encode()


@dataclass(slots=True)
class Count:
    """What has been asked since the last `taken`: requests, and bytes in both directions."""

    requests: int = 0
    up: int = 0
    down: int = 0


class Upstream:
    """The server, as a context manager, in a thread of its own. Packages are called `pkg-0` and `acme/pkg-0`."""

    def __init__(self) -> None:
        self.count = Count()
        self._answers: dict[str, Answer | None] = {}
        self._up: Future[int] = Future()
        self._loop: asyncio.AbstractEventLoop
        self._over: asyncio.Event
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    @property
    def url(self) -> str:
        """`http://127.0.0.1:port`."""
        return f"http://127.0.0.1:{self._up.result()}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._up.result()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def taken(self) -> Count:
        """What was counted, and from now on anew."""
        taken, self.count = self.count, Count()
        return taken

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=512)
        async with server:
            self._up.set_result(server.sockets[0].getsockname()[1])
            await self._over.wait()

    def answer(self, target: str) -> Answer | None:
        """What stands at a target: a path and perhaps a query."""
        if target not in self._answers:
            self._answers[target] = self._made(target)
        return self._answers[target]

    def _made(self, target: str) -> Answer | None:
        path, _, query = target.partition("?")
        parts = path.strip("/").split("/")
        match parts:
            case ["simple", name]:
                return Answer(_simple(name), "application/vnd.pypi.simple.v1+json")
            case ["pypi", name, "json"]:
                return Answer(_releases(name), "application/json", marked=False)
            case ["packages.json"]:
                changes = f"{self.url}/metadata/changes.json"
                root = {"packages": [], "metadata-url": "/p2/%package%.json", "metadata-changes-url": changes}
                return Answer(root, "application/json", marked=False)
            case ["metadata", "changes.json"]:
                now = _LONG_AGO * 10_000
                if "since" in parse_qs(query):
                    return Answer({"actions": [], "timestamp": now}, "application/json", marked=False)
                lost = {"error": "Invalid or missing since", "timestamp": now}
                return Answer(lost, "application/json", marked=False, status="400 Bad Request")
            case ["p2", vendor, name] if not name.endswith("~dev.json"):
                return Answer(_metadata(f"{vendor}/{name.removesuffix('.json')}"), "application/json")
            case ["packages", vendor, name]:
                return Answer(_package(f"{vendor}/{name.removesuffix('.json')}"), "application/json", marked=False)
        return None


class _Connection(asyncio.Protocol):
    def __init__(self, upstream: Upstream) -> None:
        self._upstream, self._waiting = upstream, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._wire = transport

    def data_received(self, data: bytes) -> None:
        self._upstream.count.up += len(data)
        self._waiting += data
        while b"\r\n\r\n" in self._waiting:
            head, _, self._waiting = self._waiting.partition(b"\r\n\r\n")
            first, *lines = head.split(b"\r\n")
            asked = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
            answer = self._answer(first, asked)
            self._upstream.count.requests += 1
            self._upstream.count.down += len(answer)
            self._wire.write(answer)
            if asked.get(b"connection", b"").lower() == b"close":
                # Composer without PHP's curl reads until there is no more.
                self._wire.close()

    def _answer(self, first: bytes, asked: Mapping[bytes, bytes]) -> bytes:
        found = self._upstream.answer(first.split(b" ")[1].decode())
        return found.to(asked) if found else b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


def _day(number: int) -> date:
    """When a release came: one every five days."""
    return date(2026, 1, 1) + timedelta(days=5 * number)


def _files(name: str) -> list[dict[str, Any]]:
    """The files of a project, as PEP 700 has them: a wheel and an sdist for each release."""
    stem, rows = name.replace("-", "_"), []
    for number in range(RELEASES):
        for filename in (f"{stem}-{version(number)}-py3-none-any.whl", f"{stem}-{version(number)}.tar.gz"):
            digest = hashlib.sha256(filename.encode()).hexdigest()
            rows.append(
                {
                    "filename": filename,
                    "url": f"https://files.index.example/packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{filename}",
                    "hashes": {"sha256": digest},
                    "requires-python": ">=3.8",
                    "size": 123_456 + number,
                    "upload-time": f"{_day(number)}T09:00:00.000000Z",
                    "yanked": False,
                    "core-metadata": {"sha256": digest[::-1]},
                    "provenance": None,
                }
            )
    return rows


def _simple(name: str) -> dict[str, Any]:
    versions = [version(number) for number in range(RELEASES)]
    return {"meta": {"api-version": "1.4"}, "name": name, "versions": versions, "files": _files(name)}


def _releases(name: str) -> dict[str, Any]:
    """What PyPI's older JSON has, which nvchecker reads."""
    rows = [{**row, "upload_time_iso_8601": row["upload-time"], "digests": row["hashes"]} for row in _files(name)]
    by_version = {version(number): rows[2 * number : 2 * number + 2] for number in range(RELEASES)}
    return {"info": {"name": name, "version": version(RELEASES - 1)}, "releases": by_version}


def _rows(name: str) -> list[dict[str, Any]]:
    """The versions of a package, newest first, as a Composer repository has them."""
    rows = []
    for number in reversed(range(RELEASES)):
        reference = hashlib.sha256(f"{name}{number}".encode()).hexdigest()[:40]
        at = f"{_day(number)}T09:00:00+00:00"
        rows.append(
            {
                "name": name,
                "version": version(number),
                "version_normalized": f"{version(number)}.0",
                "type": "library",
                "require": {"php": ">=8.1"},
                "dist": {"type": "zip", "url": f"https://dist.example/{name}/{reference}", "reference": reference},
                "source": {"type": "git", "url": f"https://git.example/{name}.git", "reference": reference},
                "time": at,
                "published-time": at,
            }
        )
    return rows


def _metadata(name: str) -> dict[str, Any]:
    first, *others = _rows(name)
    kept = ("version", "version_normalized", "dist", "source", "time", "published-time")
    return {
        "minified": "composer/2.0",
        "packages": {name: [first, *({key: row[key] for key in kept} for row in others)]},
        "security-advisories": [],
    }


def _package(name: str) -> dict[str, Any]:
    """What Packagist's older JSON has, which nvchecker reads."""
    return {"package": {"name": name, "versions": {row["version"]: row for row in _rows(name)}}}
