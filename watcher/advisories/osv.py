"""OSV: what is known against open source packages, from a dozen databases in one form.

The API: https://google.github.io/osv.dev/api/. The form: https://ossf.github.io/osv-schema/.

One request for a thousand packages says which advisories there are, and when each of them was last changed. Only about
a package of which that is news is asked in full, and then for all of its versions, so that the lowest release that
fixes an advisory can be told without asking again.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from watcher import document
from watcher.advisories.osv_record import ECOSYSTEMS, marks, parse, rows, text
from watcher.advisory import Advisory, bearable
from watcher.errors import IndexLied, IndexRefused, IndexUnreachable, Refused, Temporary
from watcher.http import Http, Request, Response
from watcher.lookup import Bulletin, Outcome
from watcher.settings import AdvisorySettings

PUBLIC = "https://api.osv.dev"
"""OSV itself."""

_AT_ONCE = 1000
_MOST_PAGES = 50


class Osv:
    """The source at `settings.url`, or OSV itself."""

    def __init__(self, settings: AdvisorySettings) -> None:
        self.url = (settings.url or PUBLIC).rstrip("/")

    def look_up(self, known: Sequence[Bulletin], http: Http, now: datetime) -> Iterator[Bulletin]:
        """See `Source`."""
        for start in range(0, len(known), _AT_ONCE):
            some = known[start : start + _AT_ONCE]
            try:
                found = self._marks(some, http)
            except (Temporary, Refused) as error:
                yield from (bulletin.unanswered(now, error) for bulletin in some)
                continue
            pairs = list(zip(some, found, strict=True))
            yield from (one.answered(now, outcome=Outcome.ANSWER) for one, said in pairs if said == _marks_of(one))
            yield from self._read([(one, said) for one, said in pairs if said != _marks_of(one)], http, now)

    def _marks(self, some: Sequence[Bulletin], http: Http) -> list[dict[str, str]]:
        """For each package its advisories by id, with the time of their last change."""
        found: list[dict[str, str]] = [{} for _ in some]
        queries = [(place, _query(one)) for place, one in enumerate(some)]
        for _ in range(_MOST_PAGES):
            if not queries:
                return found
            response = http.one(self._request("querybatch", {"queries": [query for _, query in queries]}))
            results = rows(_body(response), "results", response.url)
            if len(results) != len(queries):
                raise IndexLied(response.url, "results", f"{len(queries)} of them", str(len(results)))
            asked, queries = queries, []
            for number, ((place, query), row) in enumerate(zip(asked, results, strict=True)):
                answer = document.expect(row or {}, dict, response.url, f"results[{number}]", "an object")
                found[place] |= marks(answer, f"results[{number}].", response.url)
                if token := answer.get("next_page_token"):
                    queries.append((place, {**query, "page_token": token}))
        raise IndexLied(self.url, "next_page_token", f"at most {_MOST_PAGES} pages", "more")

    def _read(
        self, stale: Sequence[tuple[Bulletin, Mapping[str, str]]], http: Http, now: datetime
    ) -> Iterator[Bulletin]:
        """Asks in full about packages of which the advisories are others than they were: with their new marks."""
        waiting = {self._request("query", _query(one)): (one, said, list[Advisory]()) for one, said in stale}
        for page in range(_MOST_PAGES):
            following: dict[Request, tuple[Bulletin, Mapping[str, str], list[Advisory]]] = {}
            for request, result in http.many(tuple(waiting)):
                bulletin, said, found = waiting.pop(request)
                try:
                    token = _learn(bulletin, found, result)
                    if token and page == _MOST_PAGES - 1:
                        raise IndexLied(self.url, "next_page_token", f"at most {_MOST_PAGES} pages", "more")
                except (Temporary, Refused) as error:
                    yield bulletin.unanswered(now, error)
                    continue
                if token:
                    more = self._request("query", {**_query(bulletin), "page_token": token})
                    following[more] = bulletin, said, found
                    continue
                # The two answers write the same time in different ways.
                marked = [replace(one, modified=said.get(one.id, one.modified)) for one in found]
                ordered = tuple(sorted(marked, key=lambda one: one.id))
                yield bulletin.answered(now, outcome=Outcome.ANSWER, advisories=ordered)
            waiting = following

    def _request(self, what: str, content: Mapping[str, Any]) -> Request:
        body = json.dumps(content).encode()
        headers = {"content-type": "application/json", "accept": "application/json"}
        return Request(f"{self.url}/v1/{what}", headers, method="POST", body=body)


def _query(bulletin: Bulletin) -> dict[str, Any]:
    return {"package": {"name": bulletin.package, "ecosystem": ECOSYSTEMS[bulletin.ecosystem]}}


def _marks_of(bulletin: Bulletin) -> dict[str, str]:
    return {advisory.id: advisory.modified for advisory in bulletin.advisories}


def _body(response: Response) -> dict[str, Any]:
    if response.status in (401, 403, 407):
        raise IndexRefused(response.url, f"it says {response.status}")
    if response.status != 200:
        raise IndexLied(response.url, "status", "200", str(response.status))
    return document.expect(document.read(response.body, response.url), dict, response.url, "body", "an object")


def _learn(bulletin: Bulletin, found: list[Advisory], result: Response | IndexUnreachable) -> str:
    """Adds what one page says to `found`; the token of the next page, or an empty text."""
    if isinstance(result, IndexUnreachable):
        raise result
    page = _body(result)
    found += parse(page, bulletin.ecosystem, bulletin.package, result.url)
    bearable(found, result.url, "vulns")
    return text(page.get("next_page_token"), 5_000)
