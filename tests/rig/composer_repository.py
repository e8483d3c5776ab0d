"""A Composer repository on loopback, version 2 of the protocol, with real archives behind it.

with ComposerRepository() as repository:
    repository.publish("acme/http", "1.2.0", requires={"php": ">=8.1", "acme/core": "^1.0"}, at=MONDAY)
    subprocess.run(["composer", "update"])   # with {"type": "composer", "url": repository.url} in composer.json
"""

import gzip
import hashlib
import io
import json
import re
import stat
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.rig.image import Link
from tests.rig.loopback import Handler, Served
from tests.rig.simple_index import Asked, Fault
from watcher.versions.composer import normalize, stability

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
UNSET = "__unset"


class ComposerRepository(Served):
    """The repository, as a context manager.

    `asked` lists what it was asked. `root` is added to its `packages.json`; a None there takes a key away. `down`
    answers 503 to everything, `key` are headers that it insists on. The files of the packages in `lag` are behind the
    feed: `acme/http` is that of its tags, `acme/http~dev` that of its branches. `clock` (Unix) goes on by 10 seconds
    with every change, and by `rest` before somebody reads the feed. `spoil` lets it say something else at a path.
    """

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.asked: list[Asked] = []
        self.root: dict[str, Any] = {}
        self.down = False
        self.key: dict[str, str] = {}
        self.lag: set[str] = set()
        self.advisories: dict[str, list[dict[str, Any]]] = {}
        self.malware: dict[str, list[dict[str, Any]]] = {}
        self.clock = 1_790_000_000
        self.rest = 1_000
        self.versions: dict[str, dict[str, dict[str, Any]]] = {}
        self.abandoned: dict[str, bool | str] = {}
        self._changed: dict[str, int] = {}
        self._log: list[dict[str, Any]] = []
        self._archives: dict[str, bytes] = {}
        self._faults: dict[str, Fault] = {}

    def publish(
        self,
        name: str,
        version: str,
        *,
        requires: Mapping[str, str] | None = None,
        files: Mapping[str, str | bytes | Link] | None = None,
        at: datetime | None = LONG_AGO,
        composer: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """A version, with an archive of `files`. `composer` is added to its composer.json, `more` only to what the
        repository says of it; `at` None: the repository does not say since when it has it."""
        about = {
            "name": name,
            "type": "library",
            "require": dict(requires or {}),
            "autoload": {"psr-4": {f"{_namespace(name)}\\": "src/"}},
            **(composer or {}),
        }
        content = files if files is not None else _source(name, version)
        archive = _archive({"composer.json": json.dumps(about, indent=4), **content}, name)
        digest = hashlib.sha1(archive).hexdigest()
        self._archives[f"/dist/{name}/{digest}.zip"] = archive
        row = {
            **about,
            "version": version,
            "version_normalized": normalize(version),
            "dist": {
                "type": "zip",
                "url": f"{self.url}/dist/{name}/{digest}.zip",
                "reference": digest,
                "shasum": digest,
            },
            "time": "2020-01-01T00:00:00+00:00",
            **({"published-time": at.isoformat()} if at else {}),
            **more,
        }
        if name not in self.versions:
            # Both of its files come into being, the one of its tags with none if this is a branch.
            self.touch(name, branches=stability(version) != "dev")
        self.versions.setdefault(name, {})[version] = row
        self.touch(name, branches=stability(version) == "dev")

    def withdraw(self, name: str) -> None:
        """Deletes a package."""
        del self.versions[name]
        self.clock += 10
        self._log.append({"type": "delete", "package": name, "time": self.clock})

    def touch(self, name: str, *, branches: bool = False) -> None:
        """Something about a package has changed."""
        self.clock += 10
        file = f"{name}~dev" if branches else name
        self._changed.setdefault(f"{name}~dev", self.clock)
        self._changed[file] = self.clock
        self._log.append({"type": "update", "package": file, "time": self.clock})

    def spoil(self, path: str, fault: Fault) -> None:
        """From now on it says this at that path."""
        self._faults[path] = fault

    def mend(self, path: str) -> None:
        """And from now on the truth again."""
        del self._faults[path]

    # --- what it answers ---

    def document(self, path: str, query: Mapping[str, list[str]]) -> tuple[int, Any, int]:
        """Status, document, and when that was changed last (Unix; 0: it does not say)."""
        if path == "/packages.json":
            return 200, self._root(), 0
        if path == "/changes.json":
            return self._changes(query)
        found = re.fullmatch(r"/p2/([^/]+/[^/~]+?)(~dev)?\.json", path)
        if found and found[1] in self.versions:
            file = f"{found[1]}{found[2] or ''}"
            changed = self._changed.get(file, LONG_AGO.timestamp()) - (100_000 if file in self.lag else 0)
            return 200, self._package(found[1], bool(found[2])), int(changed)
        return 404, {"status": "error", "message": "not found"}, 0

    def _root(self) -> dict[str, Any]:
        own = {
            "packages": [],
            "metadata-url": "/p2/%package%.json",
            "metadata-changes-url": f"{self.url}/changes.json",
            "security-advisories": {"metadata": True, "api-url": f"{self.url}/api/security-advisories/"},
            "filter": {"metadata": True, "lists": {"malware": {"enabled": True}}},
        }
        return {key: value for key, value in {**own, **self.root}.items() if value is not None}

    def _changes(self, query: Mapping[str, list[str]]) -> tuple[int, Any, int]:
        self.clock += self.rest
        now = self.clock * 10_000 + 1
        since = query.get("since", [""])[0]
        if not since.isdecimal():
            return 400, {"error": "Invalid or missing since", "timestamp": now}, 0
        if int(since) < now - 86_400 * 10_000:
            return 200, {"actions": [{"type": "resync", "package": "*", "time": self.clock}], "timestamp": now}, 0
        return 200, {"actions": [a for a in self._log if a["time"] * 10_000 >= int(since)], "timestamp": now}, 0

    def _package(self, name: str, branches: bool) -> dict[str, Any]:
        rows = [row for version, row in self.versions[name].items() if (stability(version) == "dev") is branches]
        newest = list(reversed(rows))
        if name in self.abandoned and newest:
            newest[0] = {**newest[0], "abandoned": self.abandoned[name]}
            newest[1:] = [{**row, "abandoned": self.abandoned[name]} for row in newest[1:]]
        said: dict[str, Any] = {"minified": "composer/2.0", "packages": {name: minified(newest)}}
        if not branches:
            ids = [
                {key: row[key] for key in ("advisoryId", "affectedVersions")} for row in self.advisories.get(name, [])
            ]
            said["security-advisories"] = ids
            said["filter"] = {"malware": self.malware.get(name, [])}
        return said

    def answer(
        self, path: str, query: Mapping[str, list[str]], form: Mapping[str, list[str]]
    ) -> tuple[int, bytes, int]:
        """Status, body and time of the last change."""
        if path in self._archives:
            return 200, self._archives[path], 0
        if path == "/api/security-advisories/":
            asked = form.get("packages[]", []) + query.get("packages[]", [])
            return 200, json.dumps({"advisories": {n: self.advisories.get(n, []) for n in asked}}).encode(), 0
        status, data, changed = self.document(path, query)
        return status, json.dumps(data).encode(), changed

    def fault(self, path: str) -> Fault | None:
        return self._faults.get(path)


def minified(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What composer/metadata-minifier makes of versions: each says only what differs from the one before."""
    said: list[dict[str, Any]] = []
    before: Mapping[str, Any] = {}
    for row in rows:
        gone = {key: UNSET for key in before if key not in row}
        said.append({**{key: value for key, value in row.items() if before.get(key) != value}, **gone})
        before = row
    return said


def _namespace(name: str) -> str:
    return "\\".join(part.title().replace("-", "").replace("_", "").replace(".", "") for part in name.split("/"))


def _source(name: str, version: str) -> dict[str, str]:
    return {
        "src/Version.php": f"<?php\nnamespace {_namespace(name)};\nfinal class Version {{ const V = '{version}'; }}\n"
    }


def _archive(files: Mapping[str, str | bytes | Link], name: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in sorted(files.items()):
            info = zipfile.ZipInfo(f"{name.replace('/', '-')}-src/{path}", (2026, 1, 1, 0, 0, 0))
            mode = 0o100755 if path.startswith("bin/") else 0o100644
            if isinstance(content, Link):
                mode, content = stat.S_IFLNK | 0o777, content.to
            info.compress_type, info.external_attr, info.create_system = zipfile.ZIP_DEFLATED, mode << 16, 3
            archive.writestr(info, content)
    return out.getvalue()


class _Handler(Handler):
    def do_GET(self) -> None:
        self._say({})

    def do_POST(self) -> None:
        self._say(parse_qs(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()))

    def _say(self, form: Mapping[str, list[str]]) -> None:
        parts, mine = urlsplit(self.path), self.server.owner
        path = unquote(parts.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        mine.asked.append(Asked(self.path, headers))
        fault = mine.fault(path)
        if mine.down or any(headers.get(name) != value for name, value in mine.key.items()):
            self._send(503 if mine.down else 401, b"{}", {})
        elif fault is not None:
            self._send(fault.status, fault.body, dict(fault.headers))
        else:
            status, body, changed = mine.answer(path, parse_qs(parts.query), form)
            since = headers.get("if-modified-since")
            if since and changed and parsedate_to_datetime(since).timestamp() >= changed:
                self._send(304, b"", {})
                return
            at = (
                {"Last-Modified": format_datetime(datetime.fromtimestamp(changed, UTC), usegmt=True)} if changed else {}
            )
            if "gzip" in headers.get("accept-encoding", "") and len(body) > 1_000 and not path.endswith(".zip"):
                body, at = gzip.compress(body, mtime=0), {**at, "Content-Encoding": "gzip"}
            self._send(status, body, {"Content-Type": "application/json", **at})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
