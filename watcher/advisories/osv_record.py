"""The form in which OSV tells of an advisory → advisories: https://ossf.github.io/osv-schema/."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from packaging.utils import canonicalize_name

from watcher import document
from watcher.advisory import Advisory, Span
from watcher.errors import IndexLied
from watcher.inert import inert
from watcher.versions import SCHEMES, Scheme

ECOSYSTEMS = {"pypi": "PyPI", "packagist": "Packagist"}
"""What OSV calls our ecosystems."""

_SPELLED: dict[str, Callable[[str], str]] = {"pypi": canonicalize_name, "packagist": str.lower}
"""The one spelling of a package's name."""

_MOST_SPANS = 5_000
_SEVERITIES = ("low", "moderate", "high", "critical")
_AT_ONE_VERSION = ("fixed", "introduced", "last_affected")
"""In which order the events at one version are read: a range may begin and end with the same one."""
_SEVERITY_NAMES = {"medium": "moderate"}


def rows(row: Mapping[str, Any], name: str, url: str, where: str = "") -> list[Any]:
    """The list at `name`. One without anything in it is left out."""
    return document.expect(row.get(name) or [], list, url, f"{where}{name}", "a list")


def text(value: object, longest: int) -> str:
    """A text of a stranger, inert and short; empty for what is none."""
    return inert(value, longest) if isinstance(value, str) else ""


def marks(answer: Mapping[str, Any], where: str, url: str) -> dict[str, str]:
    """The ids of a short answer, with the time of their last change."""
    found = {}
    for number, row in enumerate(rows(answer, "vulns", url, where)):
        place = f"{where}vulns[{number}]"
        row = document.expect(row, dict, url, place, "an object")
        id = document.expect(row.get("id"), str, url, f"{place}.id", "a text")
        found[inert(id, 100)] = text(row.get("modified"), 50)
    return found


def parse(page: Mapping[str, Any], ecosystem: str, package: str, url: str) -> list[Advisory]:
    """The advisories of a page, as far as they are about the package. An `IndexLied` names what is not as it should be.

    What was withdrawn stays in the list and affects nothing: so it is known, and not asked for again.
    """
    found = []
    for number, row in enumerate(rows(page, "vulns", url)):
        place = f"vulns[{number}]"
        row = document.expect(row, dict, url, place, "an object")
        found.append(_advisory(row, ecosystem, package, url, place))
    return found


def _advisory(row: Mapping[str, Any], ecosystem: str, package: str, url: str, place: str) -> Advisory:
    id = inert(document.expect(row.get("id"), str, url, f"{place}.id", "a text"), 100)
    spans: list[Span] = []
    versions: list[str] = []
    scheme = SCHEMES[ecosystem]
    if not row.get("withdrawn"):
        for n, affected in enumerate(rows(row, "affected", url, f"{place}.")):
            affected = document.expect(affected, dict, url, f"{place}.affected[{n}]", "an object")
            if not _is_about(affected.get("package"), ecosystem, package):
                continue
            versions += [_normal(one, scheme) for one in rows(affected, "versions", url, f"{place}.affected[{n}].")]
            for m, numbers in enumerate(rows(affected, "ranges", url, f"{place}.affected[{n}].")):
                where = f"{place}.affected[{n}].ranges[{m}]"
                spans += _spans(document.expect(numbers, dict, url, where, "an object"), scheme, url, where)
    aliases = [inert(one, 100) for one in rows(row, "aliases", url, f"{place}.") if isinstance(one, str)]
    return Advisory(
        id=id,
        aliases=tuple(sorted(aliases)),
        summary=text(row.get("summary"), 300),
        severity=_severity(row.get("database_specific")),
        url=f"https://osv.dev/vulnerability/{id}",
        malware=id.startswith("MAL-"),
        published_at=document.moment(row.get("published")),
        modified=text(row.get("modified"), 50),
        spans=tuple(spans),
        versions=tuple(sorted({one for one in versions if one})),
    )


def _is_about(named: object, ecosystem: str, package: str) -> bool:
    if not isinstance(named, dict) or not isinstance(named.get("name"), str):
        return False
    # An ecosystem may have a suffix, such as the name of a repository.
    kin = str(named.get("ecosystem")).partition(":")[0] == ECOSYSTEMS[ecosystem]
    return kin and _SPELLED[ecosystem](named["name"]) == package


def _spans(numbers: Mapping[str, Any], scheme: Scheme, url: str, where: str) -> Iterator[Span]:
    """The spans of a range: its events in the order of their versions (the schema does not promise that order)."""
    if numbers.get("type") not in ("ECOSYSTEM", "SEMVER"):
        return
    events = rows(numbers, "events", url, f"{where}.")
    if len(events) > _MOST_SPANS:
        raise IndexLied(url, f"{where}.events", f"at most {_MOST_SPANS:,}", "more")
    steps: list[tuple[Any, str, str]] = []
    for number, event in enumerate(events):
        event = document.expect(event, dict, url, f"{where}.events[{number}]", "an object")
        for kind in _AT_ONE_VERSION:
            version = event.get(kind)
            if version == "0" and kind == "introduced":
                steps.append(((0,), kind, ""))
            elif isinstance(version, str) and (normal := _normal(version, scheme)):
                steps.append(((1, scheme.key(normal)), kind, normal))
    yield from _between(sorted(steps, key=lambda step: (step[0], _AT_ONE_VERSION.index(step[1]))))


def _between(steps: Sequence[tuple[Any, str, str]]) -> Iterator[Span]:
    begun: str | None = None
    for _, kind, version in steps:
        if kind == "introduced":
            begun = version if begun is None else begun
        elif begun is not None:
            yield Span(introduced=begun, **{"fixed" if kind == "fixed" else "last": version})
            begun = None
    if begun is not None:
        yield Span(introduced=begun)


def _normal(version: object, scheme: Scheme) -> str:
    """A version in its one spelling; empty for what the ecosystem does not call a version."""
    with suppress(ValueError):
        return scheme.normal(version) if isinstance(version, str) and len(version) < 200 else ""
    return ""


def _severity(said: object) -> str:
    word = str(said.get("severity", "")).lower() if isinstance(said, dict) else ""
    word = _SEVERITY_NAMES.get(word, word)
    return word if word in _SEVERITIES else ""
