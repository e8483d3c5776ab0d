"""Records what a real Composer repository says, in its own shape and without its names: for the tests to read.

python -m tests.rig.record https://packages.example acme/log acme/core --to tests/watcher/indexes/recorded/example

It asks for the root, the feed, the packages' files, their advisories and the list of malware, each once. What comes out
has the same keys in the same order, and the same versions, constraints and times; names of packages, hosts, people,
hashes and words are made up, the same one for the same one. A key is taken from AUTHORIZATION (the whole header).
"""

import argparse
import hashlib
import json
import os
import re
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from watcher.http import Http, Request

HOST = "https://index.example"
_NAME = re.compile(r"[a-z0-9]([_.-]?[a-z0-9]+)*/[a-z0-9]([_.-]?[a-z0-9]+)*", re.IGNORECASE)
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{32}")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_BRANCH = re.compile(r"(dev-)(?!main$|master$|trunk$|default$|\d)(.+)")
_KEPT = frozenset(
    ("version", "version_normalized", "time", "published-time", "reportedAt", "affectedVersions", "constraint", "type")
) | {"stability", "minified", "shasum", "severity", "minimum-stability", "warning-versions"}
"""Of these the values are what the shape is about."""
_TABLES = frozenset(("require", "require-dev", "conflict", "provide", "replace", "suggest", "branch-alias", "malware"))
"""Of these the keys are names, and the values are constraints."""
_ADDRESSES = frozenset(("metadata-url", "metadata-changes-url", "providers-url", "providers-lazy-url", "providers-api"))
_WORD = "lorem ipsum"


@dataclass(frozen=True)
class Pseudonyms:
    """The made-up names. `packages` are those that are recorded: they are called acme/a, acme/b and so on."""

    packages: tuple[str, ...]

    def name(self, text: str) -> str:
        """Of a package, as it may stand at the beginning of a file's name."""
        base, tilde, more = text.lower().partition("~")
        if base in self.packages:
            return f"acme/{chr(97 + self.packages.index(base))}{tilde}{more}"
        return f"vendor/{_made(base, 6)}{tilde}{more}"

    def text(self, text: str) -> str:
        """Any text: what it is stays to be seen, and nothing else of it."""
        if not text or text == "__unset":
            return text
        if _URL.match(text):
            return f"{HOST}/{_made(text, 10)}"
        if _HASH.fullmatch(text):
            return hashlib.sha512(text.encode()).hexdigest()[: len(text)]
        if _NAME.fullmatch(text.partition("~")[0]):
            return self.name(text)
        if re.fullmatch(r"CVE-\d{4}-\d+|GHSA-[a-z0-9-]+|[A-Z]+-[a-z0-9-]+", text, re.IGNORECASE):
            return re.sub(r"[a-z0-9]", "0", text)
        return _WORD[: len(text)]

    def value(self, value: Any, key: str = "") -> Any:
        """A value of a document, under that key."""
        if isinstance(value, list):
            return [self.value(one, key) for one in value]
        if isinstance(value, dict):
            return {self._key(name, key): self.value(one, name) for name, one in value.items()}
        if not isinstance(value, str):
            return value
        if key in _KEPT or key in _TABLES or _is_constraint(value):
            return _BRANCH.sub(lambda found: f"{found[1]}{_made(found[2], 6)}", value)
        if key in _ADDRESSES:
            return _beside(value)
        return self.text(value)

    def _key(self, name: str, table: str) -> str:
        if _NAME.fullmatch(name.partition("~")[0]):
            return self.name(name)
        if table in ("autoload", "autoload-dev", "psr-4", "psr-0", "classmap", "extra", "scripts", "config"):
            return name if name in ("psr-4", "psr-0", "classmap", "files", "branch-alias") else _made(name, 8)
        return _BRANCH.sub(lambda found: f"{found[1]}{_made(found[2], 6)}", name)


def _made(text: str, length: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def _is_constraint(text: str) -> bool:
    return (
        re.fullmatch(r"[0-9xX*v.,|<>=!~^@ +-]+(?:(?:alpha|beta|RC|dev|stable)[0-9.]*[|, <>=^~0-9.*]*)*", text)
        is not None
    )


def _beside(address: str) -> str:
    """An address of the repository's own: its path is a part of its shape."""
    parts = urlsplit(address)
    return address if not parts.netloc else f"{HOST}{parts.path}"


def written(data: Any) -> bytes:
    """A document as PHP writes it: in one line, with escaped slashes, and nothing beyond ASCII."""
    return json.dumps(data, separators=(",", ":")).replace("/", "\\/").encode()


def record(url: str, packages: Iterable[str], http: Http, key: str = "") -> dict[str, bytes]:
    """What the repository says, by the path that it says it at; only what is there."""
    names = Pseudonyms(tuple(name.lower() for name in packages))
    home = f"{url.rstrip('/')}/packages.json"

    def ask(address: str, form: str = "") -> Any:
        headers = {"accept": "application/json"}
        if key and urlsplit(address).netloc == urlsplit(home).netloc:
            headers["authorization"] = key
        if form:
            headers["content-type"] = "application/x-www-form-urlencoded"
        answer = http.one(Request(address, headers, method="POST" if form else "GET", body=form.encode(), private=True))
        return json.loads(answer.body) if answer.status in (200, 400) else None

    root = ask(home)
    found: dict[str, Any] = {"packages.json": _open(root, names.packages)}
    if changes := root.get("metadata-changes-url"):
        address = urljoin(home, changes)
        since = (ask(address) or {}).get("timestamp", 0)
        found["changes.json"] = ask(f"{address}?since={int(since) - 600 * 10_000}")
    if metadata := root.get("metadata-url"):
        for name in names.packages:
            for suffix in ("", "~dev"):
                path = f"p2/{names.name(name)}{suffix}.json"
                found[path] = ask(urljoin(home, metadata).replace("%package%", f"{name}{suffix}"))
    if advisories := _table(root, "security-advisories").get("api-url"):
        form = urlencode([("packages[]", name) for name in names.packages])
        found["security-advisories.json"] = ask(urljoin(home, advisories), form)
    if summary := _table(root, "filter").get("summary-url"):
        found["summary.json"] = ask(urljoin(home, summary))
    return {path: written(names.value(data)) for path, data in found.items() if data is not None}


def _table(root: Any, key: str) -> dict[str, Any]:
    value = root.get(key)
    return value if isinstance(value, dict) else {}


def _open(root: dict[str, Any], packages: Collection[str]) -> dict[str, Any]:
    """The root, without what else it has."""
    inline = root.get("packages")
    kept = {name: rows for name, rows in inline.items() if name in packages} if isinstance(inline, dict) else inline
    more = {"packages": kept} if "packages" in root else {}
    if isinstance(root.get("available-packages"), list):
        more["available-packages"] = [name for name in root["available-packages"] if name in packages]
    return {**root, **more}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.rig.record", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("packages", nargs="+")
    parser.add_argument("--to", type=Path, required=True)
    asked = parser.parse_args()
    with Http("toplayer's tests") as http:
        for path, body in record(asked.url, asked.packages, http, os.environ.get("AUTHORIZATION", "")).items():
            place = asked.to / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(body)
            sys.stderr.write(f"{place}: {len(body):,} bytes\n")
    sys.stderr.write("read them before you commit them: what nobody thought of may still tell a name\n")


if __name__ == "__main__":
    main()
