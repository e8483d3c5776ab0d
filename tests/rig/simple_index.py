"""An index on loopback that speaks Python's Simple API (PEP 503, 592, 658, 691, 700), with real wheels behind it.

with SimpleIndex() as index:
    index.publish("shop-api", "1.0", requires=["six>=1"], at=MONDAY)
    subprocess.run(["uv", "lock", "--default-index", index.url])
"""

import gzip
import hashlib
import json
import struct
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import cycle
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from packaging.utils import canonicalize_name

from tests.rig.loopback import Handler, Served
from tests.rig.wheel import Content, metadata, wheel, wheel_name

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
JSON = "application/vnd.pypi.simple.v1+json"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What the index says instead of the truth.

    `length` is a Content-Length that is not the body's; `hold` says nothing more after the body until the index ends;
    `raw` goes over the wire as it is, in the place of an answer.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    length: int | None = None
    hold: bool = False
    raw: bytes | None = None


ERROR = Fault(status=500)
SILENT = Fault(raw=b"", hold=True)
STALLED = Fault(headers={"content-type": JSON}, body=b'{"meta":', length=1000, hold=True)
TRUNCATED = Fault(headers={"content-type": JSON}, body=b'{"meta":', length=1000)
HTML = Fault(headers={"content-type": "text/html"}, body=b"<!DOCTYPE html><a href='x'>x</a>")
WRONG_JSON = Fault(headers={"content-type": JSON}, body=b'{"meta": {"api-version": "1.0"}, "files": 5}')


def bomb(megabytes: int) -> Fault:
    """That many megabytes of nothing, packed into a thousandth. (One is packed and repeated: it is made often.)"""
    nothing, packer, checksum = bytes(1_000_000), zlib.compressobj(wbits=-15), 0
    one = packer.compress(nothing) + packer.flush(zlib.Z_FULL_FLUSH)
    for _ in range(megabytes):
        checksum = zlib.crc32(nothing, checksum)
    head, tail = gzip.compress(b"", mtime=0)[:10], struct.pack("<2I", checksum, len(nothing) * megabytes)
    packed = head + one * megabytes + zlib.compressobj(wbits=-15).flush() + tail
    return Fault(headers={"content-type": JSON, "content-encoding": "gzip"}, body=packed)


def redirect(url: str, status: int = 302) -> Fault:
    """Go and ask there."""
    return Fault(status=status, headers={"location": url})


@dataclass(frozen=True)
class Asked:
    """A request that came in. Header names are in lower case."""

    path: str
    headers: Mapping[str, str]


class SimpleIndex(Served):
    """The index, as a context manager.

    `asked` lists what it was asked. `authorization` is the header that it insists on, if it is set; `down` answers 503
    to everything. `validators` are the headers that let requests be conditional: both, one or none. `vulnerabilities`
    are told by its JSON API (`<origin>/pypi`), by project and version.
    """

    def __init__(self, *, validators: Sequence[str] = ("etag", "last-modified")) -> None:
        super().__init__(_Handler)
        self.asked: list[Asked] = []
        self.validators = tuple(validators)
        self.authorization = ""
        self.down = False
        self.vulnerabilities: dict[tuple[str, str], Any] = {}
        self._projects: dict[str, dict[str, dict[str, Any]]] = {}
        self._blobs: dict[str, bytes] = {}
        self._faults: dict[str, Iterator[Fault]] = {}
        self._over = threading.Event()

    @property
    def origin(self) -> str:
        """`http://127.0.0.1:port`."""
        return self._server.url

    @property
    def url(self) -> str:
        """What pip, uv and toplayer take as the address of an index."""
        return f"{self.origin}/simple"

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        super().__exit__(kind, error, at)

    def publish(
        self,
        name: str,
        version: str,
        *,
        requires: Sequence[str] = (),
        requires_python: str = "",
        files: Mapping[str, Content] | None = None,
        scripts: Mapping[str, str] | None = None,
        tags: Sequence[str] = ("py3-none-any",),
        at: datetime | None = LONG_AGO,
    ) -> None:
        """A release with one wheel per tag, uploaded at `at` (None: the index does not tell). See `rig.wheel`."""
        for tag in tags:
            data = wheel(
                name,
                version,
                requires=requires,
                requires_python=requires_python,
                files=files,
                scripts=scripts,
                tag=tag,
            )
            about = metadata(name, version, requires=requires, requires_python=requires_python)
            self.add(name, wheel_name(name, version, tag), data, about=about, requires_python=requires_python, at=at)

    def add(
        self,
        name: str,
        filename: str,
        data: bytes,
        *,
        about: bytes | None = None,
        requires_python: str = "",
        at: datetime | None = LONG_AGO,
    ) -> None:
        """Any file at all, on the page of `name`; with its METADATA if that is given."""
        row: dict[str, Any] = {
            "filename": filename,
            "url": f"../../files/{filename}",
            "hashes": {"sha256": hashlib.sha256(data).hexdigest()},
            "requires-python": requires_python or None,
            "size": len(data),
            "yanked": False,
            "core-metadata": {"sha256": hashlib.sha256(about).hexdigest()} if about is not None else False,
        }
        if at is not None:
            row["upload-time"] = at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        self._blobs[filename] = data
        if about is not None:
            self._blobs[f"{filename}.metadata"] = about
        self._projects.setdefault(canonicalize_name(name), {})[filename] = row

    def yank(self, name: str, version: str, reason: str = "", *, tag: str = "") -> None:
        """Takes a release back (PEP 592), or only its wheel with that tag."""
        start = wheel_name(name, version, tag).removesuffix(".whl")
        for filename, row in self._projects[canonicalize_name(name)].items():
            if filename.startswith(start):
                row["yanked"] = reason or True

    def withdraw(self, name: str) -> None:
        """Deletes a project: from now on the index does not know it."""
        del self._projects[canonicalize_name(name)]

    def spoil(self, name: str, *faults: Fault, forever: bool = False) -> None:
        """The next requests for the page of `name` get these faults, in this order; `forever` starts over again."""
        self._faults[canonicalize_name(name)] = cycle(faults) if forever else iter(faults)

    def answer(self, path: str) -> Fault:
        """What the index says at `path`, true or not."""
        parts = path.strip("/").split("/")
        if self.down:
            return Fault(status=503)
        if parts[0] == "files" and parts[-1] in self._blobs:
            return Fault(headers={"content-type": "application/octet-stream"}, body=self._blobs[parts[-1]])
        if parts[0] == "pypi":
            said = self.vulnerabilities.get((parts[1], parts[2]))
            if said is None:
                return Fault(status=404)
            page = _page({"info": {}, "vulnerabilities": said})
            return Fault(headers={**page.headers, "etag": f'"{hashlib.md5(page.body).hexdigest()}"'}, body=page.body)
        if parts == ["simple"]:
            names = [{"name": name} for name in sorted(self._projects)]
            return _page({"meta": {"api-version": "1.1"}, "projects": names})
        name = parts[-1]
        fault = next(self._faults.get(canonicalize_name(name), iter(())), None)
        if fault is not None:
            return fault
        if canonicalize_name(name) not in self._projects:
            return Fault(status=404)
        if path != f"/simple/{canonicalize_name(name)}/":
            return redirect(f"/simple/{canonicalize_name(name)}/", 301)
        return self._project(name)

    def _project(self, name: str) -> Fault:
        files = list(self._projects[name].values())
        versions = sorted({row["filename"].split("-")[1] for row in files if row["filename"].endswith(".whl")})
        page = _page({"meta": {"api-version": "1.1"}, "name": name, "versions": versions, "files": files})
        times = [datetime.fromisoformat(row["upload-time"]) for row in files if "upload-time" in row]
        said = {
            "etag": f'"{hashlib.sha256(page.body).hexdigest()[:32]}"',
            "last-modified": format_datetime(max(times, default=LONG_AGO), usegmt=True),
        }
        return Fault(headers={**page.headers, **{key: said[key] for key in self.validators}}, body=page.body)

    def wait_until_over(self) -> None:
        """Returns when the index ends."""
        self._over.wait()


def _page(content: Mapping[str, Any]) -> Fault:
    return Fault(headers={"content-type": JSON}, body=json.dumps(content).encode())


def _unchanged(asked: Mapping[str, str], said: Mapping[str, str]) -> bool:
    """Whether a conditional request is answered by 304: an ETag goes before a time (RFC 9110, section 13.2.2)."""
    if "if-none-match" in asked and "etag" in said:
        return asked["if-none-match"] == said["etag"]
    return "last-modified" in said and asked.get("if-modified-since") == said["last-modified"]


class _Handler(Handler):
    def do_GET(self) -> None:
        index: SimpleIndex = self.server.owner
        path = urlsplit(self.path).path  # a proxy is asked with the whole address
        headers = {name.lower(): value for name, value in self.headers.items()}
        index.asked.append(Asked(path, headers))
        if index.authorization and headers.get("authorization") != index.authorization:
            self._say(Fault(status=401))
            return
        answer = index.answer(path)
        self._say(Fault(status=304, headers=answer.headers) if _unchanged(headers, answer.headers) else answer)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _say(self, answer: Fault) -> None:
        if answer.raw is not None:
            self.close_connection = True
            self.wfile.write(answer.raw)
        else:
            self.send_response_only(answer.status)
            for name, value in {"date": self.date_time_string(), **answer.headers}.items():
                self.send_header(name, value)
            if answer.status != 304:
                self.send_header("content-length", str(len(answer.body) if answer.length is None else answer.length))
            self.close_connection = self.close_connection or answer.length is not None
            self.end_headers()
            self.wfile.write(answer.body if self.command == "GET" else b"")
        self.wfile.flush()
        if answer.hold:
            self.server.owner.wait_until_over()
