"""What authors say has changed between two versions: found in a changelog, or in the list of a forge's releases. Pure.

There is no standard for changelogs. What nearly all of them have in common is a heading with a version in it, for each
version, the newest first: `## [1.2.0] - 2026-11-02`, `1.2 (2026-11-02)` with a line of dashes below, `Version 1.2`.
"""

import io
import json
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from urllib.parse import urlsplit

from watcher.versions import Scheme

LARGEST = 2_000_000
"""Bytes of the largest changelog that is read, and of all that is unpacked in the search for it: fifty times that."""
_NAMES = re.compile(
    r"(changes|changelog|change_log|history|news|release[-_ ]?notes|releases)(\.(md|rst|txt|markdown))?", re.I
)
_HEADING = re.compile(
    r"^(?P<marks>[#=]*)[\s*\[`]*(?:(?:version|release|[A-Za-z][\w.-]{0,40})[\s,:-]+)?[\[(`]*v?"
    r"(?P<version>\d+(?:\.\d+)+[A-Za-z0-9.+!-]*?|\d+)[\])`*:,]*(?P<rest>(?:\s.*)?)$"
)
_UNDERLINE = re.compile(r"^([=\-~^*\"#])\1{2,}\s*$")
_DATE = re.compile(r"\d{4}[-./]\d{1,2}[-./]\d{1,2}|\b(19|20)\d\d\b|unreleased", re.I)
_LINKS = ("changelog", "changes", "releasenotes", "history", "whatsnew", "source", "sourcecode", "repository", "github")
"""What project links are called (PEP 753 normalizes labels so), the most telling first."""


def between(text: str, before: str, after: str, scheme: Scheme) -> str:
    """The sections of a changelog for the versions above `before` up to `after`; an empty text if there are none."""
    lines = text.replace("\r\n", "\n").split("\n")
    starts = list(_headings(lines, scheme))
    ends = [*(at for at, _ in starts[1:]), len(lines)][: len(starts)]
    low, high = scheme.key(before), scheme.key(after)
    kept: list[str] = []
    for (at, version), end in zip(starts, ends, strict=True):
        if low < scheme.key(version) <= high:
            kept += [*lines[at:end], ""]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()


def _headings(lines: list[str], scheme: Scheme) -> Iterator[tuple[int, str]]:
    """The lines that begin a version's section, with the version."""
    for at, line in enumerate(lines):
        found = _HEADING.match(line.rstrip()) if len(line) < 200 else None
        if found is None:
            continue
        below = lines[at + 1] if at + 1 < len(lines) else ""
        bare = not found["rest"].strip() and "." in found["version"] and not line.startswith((" ", "\t"))
        if not (found["marks"] or _UNDERLINE.match(below) or bare or _dated(line, found["rest"])):
            continue
        try:
            yield at, scheme.normal(found["version"].rstrip("."))
        except ValueError:
            continue


def _dated(line: str, rest: str) -> bool:
    return not line.startswith((" ", "\t")) and len(rest) < 60 and _DATE.search(rest) is not None


def in_sdist(data: bytes) -> tuple[str, str] | None:
    """The changelog in a source distribution (a .tar.gz): its name, and its text. None if there is none to be found."""
    best: tuple[int, str, str] | None = None
    budget = 50 * LARGEST
    try:
        unpacked = zlib.decompressobj(wbits=31).decompress(data, budget)
        with tarfile.open(fileobj=io.BytesIO(unpacked)) as archive:
            for member in archive:
                parts = member.name.split("/")
                named = _NAMES.fullmatch(parts[-1])
                depth = len(parts) if len(parts) < 3 or parts[1] in ("doc", "docs") else 99
                if not (named and member.isfile() and depth <= 3 and member.size <= LARGEST):
                    continue
                file = archive.extractfile(member)
                if file is not None and (best is None or depth < best[0]):
                    best = depth, "/".join(parts[1:]) or parts[0], file.read(LARGEST).decode("utf-8", "replace")
    except (tarfile.TarError, zlib.error, OSError, EOFError, ValueError):
        # Cut off by the budget, or no archive at all: what was found until then counts.
        pass
    return (best[1], best[2]) if best else None


@dataclass(frozen=True, slots=True)
class About:
    """What METADATA says: what a release needs, and where its project lives."""

    requires: tuple[str, ...]
    links: tuple[str, ...]


def about(metadata: str) -> About:
    """Reads METADATA (core metadata specification). `links` are in the order in which they promise a changelog."""
    fields = HeaderParser().parsestr(metadata)
    links: dict[str, str] = {}
    for row in fields.get_all("Project-URL", []):
        label, _, address = str(row).partition(",")
        links.setdefault(re.sub(r"[\W_]", "", label.lower()), address.strip())
    if homepage := str(fields.get("Home-page", "")).strip():
        links.setdefault("homepage", homepage)
    ordered = [links[name] for name in _LINKS if name in links] + list(links.values())
    return About(tuple(map(str, fields.get_all("Requires-Dist", []))), tuple(dict.fromkeys(ordered)))


def releases_at(links: Iterable[str]) -> tuple[str, str] | None:
    """Where the releases of a project can be asked for: the address of an API, and that of the page for people."""
    for link in links:
        parts = urlsplit(link) if link.startswith("https://") and len(link) < 300 else None
        words = parts.path.strip("/").split("/") if parts else []
        if parts is None or len(words) < 2 or not all(re.fullmatch(r"[A-Za-z0-9_.-]+", word) for word in words[:2]):
            continue
        owner, name = words[0], words[1].removesuffix(".git")
        for host, api in _APIS.items():
            if parts.hostname in (host, f"www.{host}"):
                return api.format(owner=owner, name=name), f"https://{host}/{owner}/{name}/releases"
    return None


_APIS = {
    "github.com": "https://api.github.com/repos/{owner}/{name}/releases?per_page=50",
    "gitlab.com": "https://gitlab.com/api/v4/projects/{owner}%2F{name}/releases?per_page=50",
    "codeberg.org": "https://codeberg.org/api/v1/repos/{owner}/{name}/releases?limit=50",
}


def of_releases(answer: bytes, before: str, after: str, scheme: Scheme) -> str:
    """What a forge's list of releases says of the versions above `before` up to `after`, newest first."""
    try:
        rows = json.loads(answer)
    except ValueError:
        return ""
    low, high = scheme.key(before), scheme.key(after)
    found = []
    for row in rows if isinstance(rows, list) else ():
        tag = row.get("tag_name") if isinstance(row, dict) else None
        said = (row.get("body") or row.get("description") or "") if isinstance(row, dict) else ""
        named = (
            re.search(r"v?(\d+(?:\.\d+)*[A-Za-z0-9.+!-]*)$", tag) if isinstance(tag, str) and len(tag) < 100 else None
        )
        if named is None or not isinstance(said, str):
            continue
        try:
            key = scheme.key(named[1])
        except ValueError:
            continue
        if low < key <= high:
            found.append((key, f"{named[1]}\n\n{said.strip()}"))
    return "\n\n".join(text for _, text in sorted(found, key=lambda one: one[0], reverse=True))
