"""OSV: what is known against open source packages, from a dozen databases in one form.

The API: https://google.github.io/osv.dev/api/. The form: https://ossf.github.io/osv-schema/.

One request for a thousand packages says which advisories there are, and when each of them was last changed. Only about
a package of which that is news is asked in full, and then for all of its versions, so that the lowest release that
fixes an advisory can be told without asking again.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from packaging.utils import canonicalize_name

from watcher import document
from watcher.advisory import Advisory, Span
from watcher.errors import IndexLied, IndexRefused, IndexUnreachable, Refused, Temporary
from watcher.http import Http, Request, Response
from watcher.inert import inert
from watcher.lookup import Bulletin, Outcome
from watcher.settings import AdvisorySettings
from watcher.versions import SCHEMES, Scheme

PUBLIC = "https://api.osv.dev"
"""OSV itself."""

ECOSYSTEMS = {"pypi": "PyPI", "packagist": "Packagist"}
"""What OSV calls our ecosystems."""

_SPELLED: dict[str, Callable[[str], str]] = {"pypi": canonicalize_name, "packagist": str.lower}
"""The one spelling of a package's name."""

_AT_ONCE = 1000
_MOST_PAGES = 50
_MOST_SPANS = 5_000
_SEVERITIES = ("low", "moderate", "high", "critical")
_SEVERITY_NAMES = {"medium": "moderate"}


class Osv:
    """The source at `settings.url`, or OSV itself."""

    def __init__(self, settings: AdvisorySettings) -> None:
        self.url = (settings.url or PUBLIC).rstrip("/")
        self._settings = settings

    def look_up(self, known: Sequence[Bulletin], http: Http, now: datetime) -> Iterator[Bulletin]:
        """See `Source`."""
        for start in range(0, len(known), _AT_ONCE):
            some = known[start : start + _AT_ONCE]
            try:
                marks = self._marks(some, http)
            except (Temporary, Refused) as error:
                yield from (_unanswered(bulletin, now, error) for bulletin in some)
                continue
            pairs = list(zip(some, marks, strict=True))
            yield from (_answered(one, one.advisories, now) for one, said in pairs if said == _marks_of(one))
            yield from self._read([(one, said) for one, said in pairs if said != _marks_of(one)], http, now)

    def _marks(self, some: Sequence[Bulletin], http: Http) -> list[dict[str, str]]:
        """For each package its advisories by id, with the time of their last change."""
        found: list[dict[str, str]] = [{} for _ in some]
        queries = [(place, _query(one)) for place, one in enumerate(some)]
        for _ in range(_MOST_PAGES):
            if not queries:
                return found
            response = http.one(self._request("querybatch", {"queries": [query for _, query in queries]}))
            rows = _list(_body(response), "results", response.url)
            if len(rows) != len(queries):
                raise IndexLied(response.url, "results", f"{len(queries)} of them", str(len(rows)))
            asked, queries = queries, []
            for number, ((place, query), row) in enumerate(zip(asked, rows, strict=True)):
                answer = document.expect(row or {}, dict, response.url, f"results[{number}]", "an object")
                found[place] |= _ids(answer, f"results[{number}].", response.url)
                if token := answer.get("next_page_token"):
                    queries.append((place, {**query, "page_token": token}))
        raise IndexLied(self.url, "next_page_token", f"at most {_MOST_PAGES} pages", "more")

    def _read(
        self, stale: Sequence[tuple[Bulletin, Mapping[str, str]]], http: Http, now: datetime
    ) -> Iterator[Bulletin]:
        """Asks in full about packages of which the advisories are others than they were: with their new marks."""
        waiting = {self._request("query", _query(one)): (one, marks, list[Advisory]()) for one, marks in stale}
        for page in range(_MOST_PAGES):
            following: dict[Request, tuple[Bulletin, Mapping[str, str], list[Advisory]]] = {}
            for request, result in http.many(tuple(waiting)):
                bulletin, marks, found = waiting.pop(request)
                try:
                    token = _learn(bulletin, found, result)
                    if token and page == _MOST_PAGES - 1:
                        raise IndexLied(self.url, "next_page_token", f"at most {_MOST_PAGES} pages", "more")
                except (Temporary, Refused) as error:
                    yield _unanswered(bulletin, now, error)
                    continue
                if token:
                    more = self._request("query", {**_query(bulletin), "page_token": token})
                    following[more] = bulletin, marks, found
                    continue
                # The two answers write the same time in different ways.
                marked = (replace(one, modified=marks.get(one.id, one.modified)) for one in found)
                yield _answered(bulletin, tuple(sorted(marked, key=lambda one: one.id)), now)
            waiting = following

    def _request(self, what: str, content: Mapping[str, Any]) -> Request:
        body = json.dumps(content).encode()
        headers = {"content-type": "application/json", "accept": "application/json"}
        return Request(f"{self.url}/v1/{what}", headers, method="POST", body=body, private=self._settings.private)


def _query(bulletin: Bulletin) -> dict[str, Any]:
    return {"package": {"name": bulletin.package, "ecosystem": ECOSYSTEMS[bulletin.ecosystem]}}


def _marks_of(bulletin: Bulletin) -> dict[str, str]:
    return {advisory.id: advisory.modified for advisory in bulletin.advisories}


def _answered(bulletin: Bulletin, advisories: Sequence[Advisory], now: datetime) -> Bulletin:
    answer = replace(bulletin, outcome=Outcome.ANSWER, advisories=advisories, looked_at=now, answered_at=now)
    return replace(answer, reason="", attempts=0, due_at=None)


def _unanswered(bulletin: Bulletin, now: datetime, error: Temporary | Refused) -> Bulletin:
    if isinstance(error, Refused):
        return bulletin.refused(now, error)
    return replace(bulletin.again(now, error), outcome=Outcome.UNKNOWN, looked_at=now)


def _body(response: Response) -> dict[str, Any]:
    if response.status in (401, 403, 407):
        raise IndexRefused(response.url, f"it says {response.status}")
    if response.status != 200:
        raise IndexLied(response.url, "status", "200", str(response.status))
    return document.expect(document.read(response.body, response.url), dict, response.url, "body", "an object")


def _list(row: Mapping[str, Any], name: str, url: str, where: str = "") -> list[Any]:
    # A list without anything in it is left out.
    return document.expect(row.get(name) or [], list, url, f"{where}{name}", "a list")


def _ids(answer: Mapping[str, Any], where: str, url: str) -> dict[str, str]:
    found = {}
    for number, row in enumerate(_list(answer, "vulns", url, where)):
        place = f"{where}vulns[{number}]"
        row = document.expect(row, dict, url, place, "an object")
        id = document.expect(row.get("id"), str, url, f"{place}.id", "a text")
        found[inert(id, 100)] = _text(row.get("modified"), 50)
    return found


def _learn(bulletin: Bulletin, found: list[Advisory], result: Response | IndexUnreachable) -> str:
    """Adds what one page says to `found`; the token of the next page, or an empty text."""
    if isinstance(result, IndexUnreachable):
        raise result
    page = _body(result)
    found += parse(page, bulletin.ecosystem, bulletin.package, result.url)
    return _text(page.get("next_page_token"), 5_000)


def parse(page: Mapping[str, Any], ecosystem: str, package: str, url: str) -> list[Advisory]:
    """The advisories of a page, as far as they are about the package. An `IndexLied` names what is not as it should be.

    What was withdrawn stays in the list and affects nothing: so it is known, and not asked for again.
    """
    found = []
    for number, row in enumerate(_list(page, "vulns", url)):
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
        for n, affected in enumerate(_list(row, "affected", url, f"{place}.")):
            affected = document.expect(affected, dict, url, f"{place}.affected[{n}]", "an object")
            if not _is_about(affected.get("package"), ecosystem, package):
                continue
            versions += [_normal(one, scheme) for one in _list(affected, "versions", url, f"{place}.affected[{n}].")]
            for m, numbers in enumerate(_list(affected, "ranges", url, f"{place}.affected[{n}].")):
                where = f"{place}.affected[{n}].ranges[{m}]"
                spans += _spans(document.expect(numbers, dict, url, where, "an object"), scheme, url, where)
    if len(spans) + len(versions) > 10 * _MOST_SPANS:
        raise IndexLied(url, f"{place}.affected", f"at most {10 * _MOST_SPANS:,} versions", "more")
    aliases = [inert(one, 100) for one in _list(row, "aliases", url, f"{place}.") if isinstance(one, str)]
    return Advisory(
        id=id,
        aliases=tuple(sorted(aliases)),
        summary=_text(row.get("summary"), 300),
        severity=_severity(row.get("database_specific")),
        url=f"https://osv.dev/vulnerability/{id}",
        malware=id.startswith("MAL-"),
        published_at=_time(row.get("published")),
        modified=_text(row.get("modified"), 50),
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
    events = _list(numbers, "events", url, f"{where}.")
    if len(events) > _MOST_SPANS:
        raise IndexLied(url, f"{where}.events", f"at most {_MOST_SPANS:,}", "more")
    steps: list[tuple[Any, str, str]] = []
    for number, event in enumerate(events):
        event = document.expect(event, dict, url, f"{where}.events[{number}]", "an object")
        for kind in ("introduced", "fixed", "last_affected"):
            version = event.get(kind)
            if version == "0" and kind == "introduced":
                steps.append(((0,), kind, ""))
            elif isinstance(version, str) and (normal := _normal(version, scheme)):
                steps.append(((1, scheme.key(normal)), kind, normal))
    yield from _between(sorted(steps, key=lambda step: (step[0], step[1] == "introduced")))


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


def _text(value: object, longest: int) -> str:
    return inert(value, longest) if isinstance(value, str) else ""


def _time(value: object) -> datetime | None:
    with suppress(ValueError, OverflowError):
        if isinstance(value, str):
            at = datetime.fromisoformat(value)
            return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    return None
