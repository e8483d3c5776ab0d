"""What a Composer repository knows against its packages: https://packagist.org/apidoc#list-security-advisories."""

from collections.abc import Mapping
from typing import Any

from watcher import document
from watcher.advisory import Advisory, bearable
from watcher.document import expect
from watcher.indexes.packagist_metadata import affected, malware
from watcher.inert import inert

AT_ONCE = 1000
"""Packages that one request may ask about."""
_SEVERITIES = {"low": "low", "medium": "moderate", "moderate": "moderate", "high": "high", "critical": "critical"}


def read_advisories(body: bytes, url: str) -> dict[str, list[Advisory]]:
    """The advisories by package. An `IndexLied` for what is no answer."""
    data = expect(document.read(body, url), dict, url, "body", "an object")
    rows = data.get("advisories")
    table = {} if rows == [] else expect(rows, dict, url, "advisories", "an object")
    return {name.lower(): _of_package(found, url, f"advisories[{inert(name, 100)}]") for name, found in table.items()}


def read_malware(body: bytes, url: str) -> dict[str, list[Advisory]]:
    """The list of malware by package: a constraint for each."""
    data = expect(document.read(body, url), dict, url, "body", "an object")
    table = expect(data.get("filter") or {}, dict, url, "filter", "an object").get("malware") or {}
    rows = expect(table, dict, url, "filter.malware", "an object")
    return {name.lower(): [malware(constraint)] for name, constraint in rows.items()}


def _of_package(found: object, url: str, where: str) -> list[Advisory]:
    # PHP writes a list with a gap in it as an object.
    rows = list(found.values()) if isinstance(found, dict) else found if isinstance(found, list) else []
    told = [_advisory(row) for row in rows if isinstance(row, dict) and isinstance(row.get("advisoryId"), str)]
    return list(bearable(told, url, where))


def _advisory(row: Mapping[str, Any]) -> Advisory:
    sources = row.get("sources")
    names = [source.get("remoteId") for source in sources if isinstance(source, dict)] if sources else []
    aliases = {inert(name, 100) for name in [row.get("cve"), *names] if isinstance(name, str) and name}
    return Advisory(
        id=inert(row["advisoryId"], 100),
        aliases=tuple(sorted(aliases)),
        summary=_text(row, "title", 300),
        severity=_SEVERITIES.get(_text(row, "severity", 20).lower(), ""),
        url=_text(row, "link", 500),
        published_at=document.moment(row.get("reportedAt")),
        constraint=affected(row.get("affectedVersions")),
    )


def _text(row: Mapping[str, Any], key: str, longest: int) -> str:
    value = row.get(key)
    return inert(value, longest) if isinstance(value, str) else ""
