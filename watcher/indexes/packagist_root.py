"""`packages.json`: how a Composer repository wants to be asked.

The format: https://getcomposer.org/doc/05-repositories.md#composer. Version 1 of it is still what small servers speak.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from watcher import document
from watcher.address import origin
from watcher.document import expect
from watcher.errors import IndexLied

_ADDRESS = re.compile(r"https?://[\x21-\x7e]{1,2000}")
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_MOST_PATTERNS = 5_000
_MOST_INCLUDES = 200


@dataclass(frozen=True, slots=True)
class Root:
    """What a repository says of itself. Addresses are whole, and empty for what it does not have.

    `metadata` is a template for a package's own file; `by_hash` says that it also wants the file's hash, which `hashes`
    has by package once `providers` have been read. `changes` is the feed. `advisories` is where they are told in full,
    and `tells_advisories` says that a package's own file has their ids. `malware` is the list of it, where the files
    do not have it. `inline` are packages that stand in the root itself, or in one of `includes`. `names` and `patterns`
    are what the repository has, if it says so at all (`is_closed`).
    """

    url: str
    metadata: str = ""
    by_hash: bool = False
    changes: str = ""
    advisories: str = ""
    tells_advisories: bool = False
    malware: str = ""
    is_closed: bool = False
    patterns: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()
    inline: Mapping[str, Any] = field(default_factory=dict)
    includes: Mapping[str, str] = field(default_factory=dict)
    providers: Mapping[str, str] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)

    def may_have(self, package: str) -> bool:
        """Whether it does not say that it has no such package."""
        if not self.is_closed:
            return True
        return package in self.names or any(fnmatchcase(package, pattern) for pattern in self.patterns)

    def file_of(self, package: str, suffix: str = "") -> str:
        """The address of a package's own file; empty if there is none."""
        url = self.metadata.replace("%package%", quote(f"{package}{suffix}", safe="/~"))
        if not self.by_hash:
            return url
        return url.replace("%hash%", self.hashes[package]) if package in self.hashes else ""

    def with_included(self, packages: Mapping[str, Any], includes: Mapping[str, str]) -> "Root":
        """The root, with what stood in one of its includes."""
        merged = dict(self.inline)
        for name, versions in packages.items():
            merged.setdefault(name, versions)
        return replace(self, inline=merged, includes=includes)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A body, and where it came from after redirects."""

    url: str
    body: bytes


Fetch = Callable[[str], Fetched]
"""How a file of the repository is brought; raises what `Http.one` raises, and `IndexLied` for what is no file."""


def fetch_root(url: str, fetch: Fetch) -> Root:
    """The root of the repository at `url`, with what belongs to it. Raises `IndexLied`, and what `fetch` raises."""
    first = fetch(_root_url(url))
    root = read_root(first.body, first.url)
    for other, digest in root.providers.items():
        more = read_providers(_checked(other, digest, "sha256", fetch), other)
        root = replace(root, hashes={**root.hashes, **more})
    seen: set[str] = set()
    while waiting := [other for other in root.includes if other not in seen]:
        other = waiting[0]
        seen.add(other)
        if len(seen) > _MOST_INCLUDES:
            raise IndexLied(root.url, "includes", f"at most {_MOST_INCLUDES} of them", "more")
        packages, includes = read_include(_checked(other, root.includes[other], "sha1", fetch), other, root.url)
        root = root.with_included(packages, {**root.includes, **includes})
    return root


def _checked(url: str, digest: str, algorithm: str, fetch: Fetch) -> bytes:
    """A file that the root names with its hash."""
    body = fetch(url).body
    if hashlib.new(algorithm, body, usedforsecurity=False).hexdigest() != digest:
        raise IndexLied(url, "body", f"{algorithm} {digest}", "another one")
    return body


def _root_url(url: str) -> str:
    """Where the root of the repository at `url` is: the address itself can be one of a JSON file."""
    return url if urlsplit(url).path.endswith(".json") else f"{url.rstrip('/')}/packages.json"


def read_root(body: bytes, url: str) -> Root:
    """The root that came from `url`. An `IndexLied` names the place of what is not as the format has it."""
    data = expect(document.read(body, url), dict, url, "body", "an object")
    read = _Reader(data, url)
    advisories, malware = read.table("security-advisories"), read.table("filter")
    metadata = read.address("metadata-url") or read.address("providers-lazy-url")
    names, patterns = read.texts("available-packages"), read.texts("available-package-patterns")
    if len(patterns) > _MOST_PATTERNS:
        raise IndexLied(url, "available-package-patterns", f"at most {_MOST_PATTERNS:,} of them", str(len(patterns)))
    return Root(
        url=url,
        metadata=metadata or read.address("providers-url"),
        by_hash=not metadata and "%hash%" in read.address("providers-url"),
        changes=read.address("metadata-changes-url"),
        advisories=_Reader(advisories, url).address("api-url"),
        tells_advisories=advisories.get("metadata") is True,
        malware="" if malware.get("metadata") is True else _Reader(malware, url).address("summary-url"),
        is_closed="available-packages" in data or "available-package-patterns" in data,
        patterns=tuple(re.sub(r"([\[?])", r"[\1]", pattern.lower()) for pattern in patterns),
        names=frozenset(name.lower() for name in names),
        inline=packages_in(data, url),
        includes=read.hashed("includes", "sha1"),
        providers=read.hashed("provider-includes", "sha256"),
    )


def packages_in(data: Mapping[str, Any], url: str) -> dict[str, Any]:
    """The packages of a document by their names: for each a list of versions, or an object of them."""
    found = data.get("packages", {})
    if found == []:
        return {}
    return {name.lower(): versions for name, versions in expect(found, dict, url, "packages", "an object").items()}


def read_include(body: bytes, url: str, root: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The packages of an included file, and the files that it includes itself: all names are as seen from the root."""
    data = expect(document.read(body, url), dict, url, "body", "an object")
    return packages_in(data, url), _Reader(data, root).hashed("includes", "sha1")


def read_providers(body: bytes, url: str) -> dict[str, str]:
    """The hashes of packages' own files, by package."""
    data = expect(document.read(body, url), dict, url, "body", "an object")
    rows = expect(data.get("providers", {}), dict, url, "providers", "an object")
    found = {name.lower(): row.get("sha256") for name, row in rows.items() if isinstance(row, dict)}
    return {name: text for name, text in found.items() if isinstance(text, str) and _HASH.fullmatch(text)}


@dataclass(frozen=True, slots=True)
class _Reader:
    data: Mapping[str, Any]
    url: str

    def table(self, key: str) -> dict[str, Any]:
        value = self.data.get(key)
        return {} if value is None or value == [] else expect(value, dict, self.url, key, "an object")

    def texts(self, key: str) -> list[str]:
        rows = expect(self.data.get(key) or [], list, self.url, key, "a list")
        return [expect(row, str, self.url, key, "a list of texts") for row in rows]

    def address(self, key: str) -> str:
        value = self.data.get(key)
        if value is None:
            return ""
        text = expect(value, str, self.url, key, "an address")
        address = _joined(self.url, text)
        if not _ADDRESS.fullmatch(address) or not may_lead(self.url, address):
            raise IndexLied(self.url, key, "an address of the same host, or of its family", document.shown(value))
        return address

    def hashed(self, key: str, algorithm: str) -> dict[str, str]:
        """Addresses of other files, with their hashes."""
        rows = self.table(key)
        if len(rows) > _MOST_INCLUDES:
            raise IndexLied(self.url, key, f"at most {_MOST_INCLUDES} of them", str(len(rows)))
        found: dict[str, str] = {}
        for name, row in rows.items():
            text = expect(row, dict, self.url, key, "an object for each file").get(algorithm, "")
            if not isinstance(text, str) or not _HASH.fullmatch(text):
                raise IndexLied(self.url, f"{key}.{algorithm}", f"a {algorithm}", document.shown(text))
            found[_Reader({key: name.replace("%hash%", text)}, self.url).address(key)] = text
        return found


def _joined(url: str, text: str) -> str:
    try:
        return urljoin(url, text)
    except ValueError:
        return ""


def may_lead(url: str, to: str) -> bool:
    """Whether a repository that is at `url` may send us to another address.

    To its own host; and by the same port to one of which the name is a part of its own (`packages.example` and
    `repo.packages.example`). Two names beside each other may be two people's. What came with TLS leads to nothing
    without it.
    """
    (scheme, here, port), (its_scheme, there, its_port) = origin(url), origin(to)
    if not there or (scheme, its_scheme) == ("https", "http"):
        return False
    return here == there or (port == its_port and _is_family(here, there))


def _is_family(one: str, other: str) -> bool:
    """Whether one of two names is a part of the other. Numbers are no names, and one word alone is nobody's."""
    short, long = sorted((one, other), key=len)
    return "." in short and re.search("[a-z]", short) is not None and long.endswith(f".{short}")
