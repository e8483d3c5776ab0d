"""What authors say has changed between two versions: found in a changelog, or in the list of a forge's releases. Pure.

There is no standard for changelogs. What nearly all of them have in common is a heading with a version in it, for each
version, the newest first: `## [1.2.0] - 2026-11-02`, `1.2 (2026-11-02)` with a line of dashes below, `Version 1.2`.
"""

import contextlib
import io
import json
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.parser import HeaderParser
from functools import partial
from typing import Any
from urllib.parse import SplitResult, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

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
    try:
        low, high = scheme.key(before), scheme.key(after)
    except ValueError:
        return ""
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


ARCHIVES = (".tar.gz", ".zip")
"""How the names of the archives end in which a changelog is looked for: source distributions, and PHP packages."""


def in_archive(data: bytes) -> tuple[str, str] | None:
    """The changelog in a .tar.gz or a .zip with one directory on top: its name, and its text. None if none is found."""
    best: tuple[int, str, str] | None = None
    with contextlib.suppress(*_NO_ARCHIVE):
        # What is cut off, or broken further on: what was found until then counts.
        for name, size, read in _in_zip(data) if data.startswith(b"PK") else _in_tar(data):
            parts = name.split("/")
            depth = len(parts) if len(parts) < 3 or parts[1] in ("doc", "docs") else 99
            if not _NAMES.fullmatch(parts[-1]) or depth > 3 or size > LARGEST or (best and best[0] <= depth):
                continue
            best = depth, "/".join(parts[1:]) or parts[0], read().decode("utf-8", "replace")
    return (best[1], best[2]) if best else None


_NO_ARCHIVE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError)
"""What archives raise that are none. `RuntimeError`: one with a password, `NotImplementedError` among them."""
_Member = tuple[str, int, Callable[[], bytes]]


def _in_tar(data: bytes) -> Iterator[_Member]:
    unpacked = zlib.decompressobj(wbits=31).decompress(data, 50 * LARGEST)
    # Only a plain one: trying whether it is packed once more takes half a minute on a hundred megabytes of nothing.
    with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as archive:
        for member in archive:
            if member.isfile() and (file := archive.extractfile(member)) is not None:
                yield member.name, member.size, partial(file.read, LARGEST)


def _in_zip(data: bytes) -> Iterator[_Member]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in archive.infolist():
            if not member.is_dir() and member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                yield member.filename, member.file_size, partial(_unpacked, archive, member)


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    # Whatever size the entry says it has: it may be a bomb.
    with archive.open(member) as file:
        return file.read(LARGEST)


@dataclass(frozen=True, slots=True)
class About:
    """What an author says of a release: what it needs, by name and in words, and where its project lives.

    `links` are in the order in which they promise a changelog.
    """

    needs: tuple[tuple[str, str], ...]
    links: tuple[str, ...]


def in_metadata(metadata: str) -> About:
    """Reads METADATA (core metadata specification)."""
    fields = HeaderParser().parsestr(metadata)
    links: dict[str, str] = {}
    for row in fields.get_all("Project-URL", []):
        label, _, address = str(row).partition(",")
        links.setdefault(re.sub(r"[\W_]", "", label.lower()), address.strip())
    if homepage := str(fields.get("Home-page", "")).strip():
        links.setdefault("homepage", homepage)
    ordered = [links[name] for name in _LINKS if name in links] + list(links.values())
    needs = []
    for row in fields.get_all("Requires-Dist", []):
        # `RecursionError`: parentheses in parentheses, as deep as somebody likes.
        with contextlib.suppress(InvalidRequirement, RecursionError):
            wanted = Requirement(str(row))
            needs.append((canonicalize_name(wanted.name), f"{wanted.name}{wanted.specifier}"))
    return About(tuple(needs), tuple(dict.fromkeys(ordered)))


def in_composer(row: Mapping[str, Any]) -> About:
    """Reads what a composer.lock has of a package (https://getcomposer.org/doc/04-schema.md)."""
    tables = {key: value if isinstance(value := row.get(key), dict) else {} for key in ("require", "support", "source")}
    places = (tables["support"].get("source"), tables["source"].get("url"), row.get("homepage"))
    needs = (
        (name.lower(), f"{name} {wanted}") for name, wanted in tables["require"].items() if isinstance(wanted, str)
    )
    return About(tuple(needs), tuple(dict.fromkeys(place for place in places if isinstance(place, str))))


def releases_at(links: Iterable[str]) -> tuple[str, str] | None:
    """Where the releases of a project can be asked for: the address of an API, and that of the page for people."""
    for link in links:
        parts = _parts(link)
        words = parts.path.strip("/").split("/") if parts else []
        if parts is None or len(words) < 2 or not all(re.fullmatch(r"[A-Za-z0-9_.-]+", word) for word in words[:2]):
            continue
        owner, name = words[0], words[1].removesuffix(".git")
        for host, api in _APIS.items():
            if parts.hostname in (host, f"www.{host}"):
                return api.format(owner=owner, name=name), f"https://{host}/{owner}/{name}/releases"
    return None


def _parts(link: str) -> SplitResult | None:
    try:
        return urlsplit(link) if link.startswith("https://") and len(link) < 300 else None
    except ValueError:
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
        low, high = scheme.key(before), scheme.key(after)
    except (ValueError, RecursionError):
        return ""
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
