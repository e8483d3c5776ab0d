"""PyPI, and every other index that speaks Python's Simple API: what it is asked. See `simple` for what it answers."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from urllib.parse import quote

from watcher.address import origin
from watcher.advisory import Advisory
from watcher.errors import IndexLied, IndexRefused, IndexUnreachable, Refused, Temporary
from watcher.http import Http, Request, Response
from watcher.indexes.key import key_of
from watcher.indexes.pypi_advisories import Page
from watcher.indexes.simple import parse
from watcher.lookup import Lookup, Outcome, Traces, Unchanged
from watcher.pin import Pin
from watcher.settings import IndexSettings

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.1, text/html;q=0.01"
_VALIDATOR = re.compile(r"[\x20-\x7e]{1,500}")


def address() -> str:
    """Where PyPI is."""
    # Imported only here: it brings an HTTP client and two parsers with it, and takes half a second.
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    return PYPI_SIMPLE_ENDPOINT


class PyPI:
    """An index at `settings.url`, or PyPI itself."""

    def __init__(self, settings: IndexSettings) -> None:
        self.url = (settings.url or address()).rstrip("/")
        self._settings = settings

    @property
    def is_only_about_releases(self) -> bool:
        return self._settings.vulnerabilities is None

    def unchanged(self, traces: Traces, http: Http, now: datetime, pins: Iterable[Pin] = ()) -> None:
        """See `Index`: it has no feed."""

    def look_up(
        self,
        known: Sequence[Lookup],
        http: Http,
        now: datetime,
        pins: Iterable[Pin] = (),
        said: Unchanged | None = None,
    ) -> Iterator[Lookup]:
        """See `Index`. One conditional request per package, and one per pinned release where there is a JSON API."""
        try:
            key = key_of(self._settings, self.url)
        except IndexRefused as error:
            yield from (lookup.refused(now, error) for lookup in known)
            return
        found = self._pages(known, http, now, key)
        yield from found if self._settings.vulnerabilities is None else self._warned(found, http, now, pins, key)

    def _pages(self, known: Sequence[Lookup], http: Http, now: datetime, key: Mapping[str, str]) -> Iterator[Lookup]:
        asked = {self._request(lookup, key): lookup for lookup in known}
        picky: dict[Request, Lookup] = {}
        for request, result in http.many(tuple(asked)):
            lookup = asked.pop(request)
            if isinstance(result, Response) and result.status == 406:
                picky[replace(request, headers={**request.headers, "accept": "*/*"})] = lookup
            else:
                yield learned(lookup, result, now)
        # Who has none of the forms that we ask for in words may have one of them all the same.
        for request, result in http.many(tuple(picky)):
            yield learned(picky[request], result, now)

    def _warned(
        self, found: Iterable[Lookup], http: Http, now: datetime, pins: Iterable[Pin], key: Mapping[str, str]
    ) -> Iterator[Lookup]:
        """The lookups, with what the index knows against the releases that are pinned. Nothing is known without it."""
        pinned: dict[str, set[str]] = {}
        for pin in pins:
            pinned.setdefault(pin.package, set()).add(pin.version)
        pages: dict[Request, Page] = {}
        told: dict[str, tuple[Lookup, list[Told]]] = {}
        for lookup in found:
            mine = pinned.get(lookup.package, set()) & {release.version for release in lookup.releases}
            if lookup.outcome is Outcome.ANSWER and mine:
                told[lookup.package] = lookup, []
                some = [Page(lookup, version) for version in sorted(mine)]
                pages |= {self._about(page, key): page for page in some}
            else:
                yield replace(lookup, advisories=()) if lookup.outcome is Outcome.ANSWER else lookup
        for request, result in http.many(tuple(pages)):
            told[pages[request].lookup.package][1].append((pages[request], result))
        yield from (_with_told(lookup, answers, now) for lookup, answers in told.values())

    def _about(self, page: Page, key: Mapping[str, str]) -> Request:
        url = page.url(self._settings.vulnerabilities or "")
        condition = {"if-none-match": page.etag} if page.etag else {}
        mine = key if origin(url) == origin(self.url) else {}
        return Request(url, {"accept": "application/json", **condition, **mine}, private=self._settings.private)

    def _request(self, lookup: Lookup, key: Mapping[str, str]) -> Request:
        condition = {"if-modified-since": lookup.last_modified} if lookup.last_modified else {}
        # Beside an ETag a time does not count (RFC 9110, section 13.1.3), and is a tenth of all that is sent.
        condition = {"if-none-match": lookup.etag} if lookup.etag else condition
        headers = {"accept": ACCEPT, **condition, **key}
        return Request(f"{self.url}/{quote(lookup.package, safe='')}/", headers, private=self._settings.private)


Told = tuple[Page, Response | IndexUnreachable]


def _with_told(lookup: Lookup, answers: Iterable[Told], now: datetime) -> Lookup:
    """The lookup with what its pages tell, or *unknown* if one of them tells nothing."""
    found: list[Advisory] = []
    files: dict[str, str] = {}
    try:
        for page, result in sorted(answers, key=lambda told: told[0].version):
            some, etag = page.read(result)
            found += some
            files[page.file] = etag if _VALIDATOR.fullmatch(etag) else ""
    except (Temporary, Refused) as error:
        return lookup.unanswered(now, error)
    return replace(lookup, advisories=tuple(found), files=files)


def learned(known: Lookup, result: Response | IndexUnreachable, now: datetime) -> Lookup:
    """What is known of a package after an answer, or after none."""
    try:
        if isinstance(result, IndexUnreachable):
            raise result
        return _read(known, result, now)
    except (Temporary, Refused) as error:
        return known.unanswered(now, error)


def _read(known: Lookup, response: Response, now: datetime) -> Lookup:
    match response.status:
        case 200:
            return _answer(known, response).answered(now, outcome=Outcome.ANSWER, had_at=None)
        case 304 if known.etag or known.last_modified:
            return known.answered(now, outcome=Outcome.ANSWER)
        case 404 | 410:
            return known.absent(now)
        case 401 | 403 | 407:
            raise IndexRefused(response.url, f"it says {response.status}")
        case status:
            raise IndexLied(response.url, "status", "200 or 404, or 304 to a condition", str(status))


def _answer(known: Lookup, response: Response) -> Lookup:
    """What a page says. One that is the same, byte by byte, is not read again: some indexes know no conditions."""
    kind = response.headers.get("content-type", "")
    digest = hashlib.blake2b(kind.encode() + b"\n" + response.body, digest_size=16).hexdigest()
    answer = replace(
        known,
        digest=digest,
        etag=_validator(response, "etag"),
        last_modified=_validator(response, "last-modified"),
    )
    if known.digest == digest:
        return answer
    page = parse(response.body, known.package, response.url, kind)
    return replace(answer, releases=page.releases, status=page.status, status_said=page.status_said, remark=page.remark)


def _validator(response: Response, name: str) -> str:
    """A header that we can send back, or nothing."""
    value = response.headers.get(name, "")
    return value if _VALIDATOR.fullmatch(value) else ""
