"""A package's versions as a Composer repository has them → releases.

The format: https://getcomposer.org/doc/04-schema.md, and https://github.com/composer/metadata-minifier for what is left
out where it is as in the entry above.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from watcher import document
from watcher.advisory import Advisory, bearable
from watcher.document import expect
from watcher.errors import IndexLied
from watcher.inert import inert
from watcher.release import File, Release
from watcher.versions.composer import Composer, is_a_branch, satisfies

_SCHEME = Composer()
_KEYS = ("version", "require", "dist", "source", "published-time", "abandoned", "type")
"""What is read of a version. All else is not even carried from one entry to the next."""
_MINIFIED = "composer/2.0"
_UNSET = "__unset"
_MOST_VERSIONS = 10_000
"""Of one package: no real one comes near it. Each costs as much as an entry can say, since it may only repeat one."""
_ADDRESS = re.compile(r"https?://[\x21-\x7e]{1,2000}")
_REFERENCE = re.compile(r"[\x21-\x7e]{1,200}")
_SHA1 = re.compile(r"[0-9a-f]{40}")
_NAME = re.compile(r"[A-Za-z0-9 _./-]{1,200}")
_LONGEST_CONSTRAINT = 500
REF = "ref"
"""Under this name a file's hashes have Composer's reference: most often a commit."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a file says of one package. `abandoned` is empty, or says what to use in its place."""

    releases: tuple[Release, ...] = ()
    abandoned: str = ""
    advisories: tuple[Advisory, ...] = ()


def parse(body: bytes, package: str, url: str) -> Metadata:
    """What the file that came from `url` says of `package`. An `IndexLied` names the place of what is wrong with it."""
    data = expect(document.read(body, url), dict, url, "body", "an object")
    packages = data.get("packages", {})
    versions = expect(packages or {}, dict, url, "packages", "an object").get(package, [])
    metadata = read(versions, package, url, minified=data.get("minified") == _MINIFIED)
    against = bearable([*_known(data, url), *_malware(data, url)], url, "security-advisories")
    return replace(metadata, advisories=tuple(against))


def read(versions: object, package: str, url: str, *, minified: bool = False) -> Metadata:
    """The releases in a list of versions, or in an object of them (version 1 of the format), oldest first.

    A version that Composer does not know is left out, as Composer leaves it out.
    """
    where = f"packages[{package}]"
    rows = list(versions.values()) if isinstance(versions, dict) else expect(versions, list, url, where, "a list")
    if len(rows) > _MOST_VERSIONS:
        raise IndexLied(url, where, f"at most {_MOST_VERSIONS:,} versions", f"{len(rows):,}")
    found: dict[str, Release] = {}
    abandoned: str | None = None
    for row in _expanded(rows, url, where, minified):
        release = _release(row, package)
        if release is not None:
            found.setdefault(release.version, release)
            abandoned = _replacement(row.get("abandoned")) if abandoned is None else abandoned
    ordered = sorted(found.values(), key=lambda release: _SCHEME.key(release.version))
    return Metadata(tuple(ordered), abandoned or "")


def _expanded(rows: list[Any], url: str, where: str, minified: bool) -> Iterator[dict[str, Any]]:
    """Every entry in full: what a minified one does not say is as in the entry before."""
    full: dict[str, Any] = {}
    for number, row in enumerate(rows):
        said = expect(row, dict, url, f"{where}[{number}]", "an object")
        mine = {key: said[key] for key in _KEYS if key in said}
        full = {**full, **mine} if minified else mine
        full = {key: value for key, value in full.items() if value != _UNSET}
        yield full


def _release(row: Mapping[str, Any], package: str) -> Release | None:
    text = row.get("version")
    if not isinstance(text, str):
        return None
    try:
        version = _SCHEME.normal(text)
    except ValueError:
        return None
    return Release(
        package=package, version=version, files=(_file(row, package, version),), needs=_needs(row.get("require"))
    )


def _needs(requires: object) -> dict[str, str]:
    """What a version says of PHP itself. Extensions are for Composer to judge, which knows more of the place."""
    php = requires.get("php") if isinstance(requires, dict) else None
    return {"php": php} if isinstance(php, str) and len(php) <= _LONGEST_CONSTRAINT else {}


def _file(row: Mapping[str, Any], package: str, version: str) -> File:
    """The one thing that a version is installed from: its archive, else its sources, else nothing (a metapackage)."""
    dist, source = _table(row, "dist"), _table(row, "source")
    part = dist or source
    reference = _matching(part.get("reference"), _REFERENCE)
    hashes = {REF: reference} if reference else {}
    shasum = _matching(dist.get("shasum"), _SHA1)
    kind = _matching(part.get("type"), _NAME) or "metapackage"
    stem = re.sub(r"[^A-Za-z0-9._+-]", "-", f"{package}-{version}{f'-{reference[:12]}' if reference else ''}")
    return File(
        filename=f"{stem}.{kind}",
        url=_matching(part.get("url"), _ADDRESS),
        hashes={**hashes, "sha1": shasum} if shasum else hashes,
        # `time` is the tag's, which its author can set to any day; this is the index's own clock.
        uploaded_at=document.moment(row.get("published-time")),
    )


def _table(row: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = row.get(key)
    return value if isinstance(value, dict) else {}


def _matching(value: object, pattern: re.Pattern[str]) -> str:
    return value if isinstance(value, str) and pattern.fullmatch(value) else ""


def _replacement(value: object) -> str:
    if isinstance(value, str) and value:
        return f"use {inert(value, 200)} in its place"
    return "nobody keeps it, and nothing takes its place" if value is True else ""


def _known(data: Mapping[str, Any], url: str) -> Iterator[Advisory]:
    """The advisories in a package's own file: their ids, and what they affect."""
    rows = expect(data.get("security-advisories") or [], list, url, "security-advisories", "a list")
    for row in rows:
        if isinstance(row, dict) and isinstance(row.get("advisoryId"), str):
            yield Advisory(id=inert(row["advisoryId"], 100), constraint=affected(row.get("affectedVersions")))


def _malware(data: Mapping[str, Any], url: str) -> Iterator[Advisory]:
    table = data.get("filter") or {}
    rows = expect(table, dict, url, "filter", "an object").get("malware") or []
    for row in expect(rows, list, url, "filter.malware", "a list"):
        if isinstance(row, dict):
            yield malware(row.get("constraint"), str(row.get("id") or ""), row.get("reason"), row.get("url"))


def malware(constraint: object, id: str = "", reason: object = None, url: object = None) -> Advisory:
    """A word of the list of malware."""
    return Advisory(
        id=inert(id, 100) or "malware",
        summary=inert(reason, 300) if isinstance(reason, str) else "its index lists it as malware",
        severity="critical",
        url=_matching(url, _ADDRESS),
        malware=True,
        constraint=affected(constraint),
    )


def affected(constraint: object) -> str:
    """The versions that somebody warns of. What cannot be read warns of all: nothing gets in because it is misspelt."""
    if isinstance(constraint, str) and constraint.strip():
        try:
            satisfies("1.0", constraint)
        except ValueError:
            return "*"
        return constraint
    return "*"


def moved(before: Release, after: Release) -> Release:
    """The release, marked if its tag is at another commit than when it was first seen.

    What was published as a stable version never changes on Packagist. Where it does, somebody has put other code under
    a name that people trust: a person has to look.
    """
    old = next((file for file in before.files), None)
    new = next((file for file in after.files), None)
    if old is None or new is None or is_a_branch(after.version):
        return after
    was, now = old.hashes.get(REF, ""), new.hashes.get(REF, "")
    if was == now and (old.moved or old.yanked):
        # Before there was a word of its own for it, it counted as yanked.
        return replace(after, files=(replace(new, moved=old.moved or old.yanked or ""),))
    if not was or not now or was == now:
        return after
    said = f"its tag has moved from {inert(was, 60)} to {inert(now, 60)} since it was first seen"
    return replace(after, files=(replace(new, moved=said),))
