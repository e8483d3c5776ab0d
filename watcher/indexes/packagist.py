"""Packagist, and every other Composer repository, of version 2 and of version 1 of its protocol.

The protocol: https://getcomposer.org/doc/05-repositories.md#composer and https://packagist.org/apidoc.

Where a repository has a feed of changes, one request to it is a look at all packages of which it tells nothing; what it
tells of is asked for on condition that it has changed. Without a feed, each package costs such a request.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import urlencode, urlsplit

from watcher.advisory import Advisory
from watcher.errors import IndexLied, IndexRefused, IndexUnreachable, Refused, Temporary
from watcher.http import Http, Request, Response
from watcher.indexes.key import key_of
from watcher.indexes.packagist_advisories import AT_ONCE, read_advisories, read_malware
from watcher.indexes.packagist_feed import BRANCHES, Mark, News, marks, quiet, read_feed
from watcher.indexes.packagist_metadata import Metadata, moved, parse, read
from watcher.indexes.packagist_root import Root, is_near, read_include, read_providers, read_root, root_url
from watcher.lockfiles.composer_json import PACKAGIST
from watcher.lookup import Lookup, Outcome
from watcher.settings import IndexSettings
from watcher.versions.composer import is_a_branch

T = TypeVar("T")
_MOST_INCLUDES = 200
_VALIDATOR = re.compile(r"[\x20-\x7e]{1,100}")
_BETWEEN = " | "
"""Between the marks of a package's two files: of its tags, and of its branches."""
ABANDONED = "abandoned"


def address() -> str:
    """Where Packagist is."""
    return PACKAGIST


class Packagist:
    """A repository at `settings.url`, or Packagist itself."""

    def __init__(self, settings: IndexSettings) -> None:
        self.url = (settings.url or address()).rstrip("/")
        self._settings = settings

    def look_up(self, known: Sequence[Lookup], http: Http, now: datetime) -> Iterator[Lookup]:
        """See `Index`. One request, if nothing has changed and the repository has a feed."""
        if not known:
            return
        try:
            key = key_of(self._settings, self.url)
        except IndexRefused as error:
            yield from (lookup.refused(now, error) for lookup in known)
            return
        yield from _Round(self._settings, self.url, key, http, now).look_up(known)


class _Round:
    """One look at the packages of one repository."""

    def __init__(self, settings: IndexSettings, url: str, key: Mapping[str, str], http: Http, now: datetime) -> None:
        self._settings, self._url, self._key, self._http, self._now = settings, url, key, http, now
        self._root: Root

    def look_up(self, known: Sequence[Lookup]) -> Iterator[Lookup]:
        news = self._news(marks(known, self._now))
        if news is not None and news.mark.alone:
            silent = {lookup.package for lookup in known if news.is_quiet_about(lookup.package)}
            yield from (self._answered(quiet(one, news.mark)) for one in known if one.package in silent)
            known = [lookup for lookup in known if lookup.package not in silent]
        if not known:
            return
        try:
            self._root = self._asked_root()
            news = news or self._first_news()
        except (Temporary, Refused) as error:
            yield from (self._unanswered(lookup, error) for lookup in known)
            return
        yield from self._warned(self._asked(known, news))

    # --- the feed ---

    def _news(self, since: Mapping[str, Mark]) -> News | None:
        """What the feed says since the oldest mark; None if there is nothing to go on from, or it does not answer.

        Then every package is asked for by itself, which is slower and as good.
        """
        oldest = min(since.values(), key=lambda mark: mark.cursor, default=None)
        if oldest is None or not self._is_ours(oldest.url):
            return None
        return self._read_feed(oldest.url, {"since": str(oldest.cursor)}, since, oldest)

    def _first_news(self) -> News | None:
        """Where the feed stands before anything else is asked; None without a feed."""
        root = self._root
        if not root.changes:
            return None
        alone = not root.malware and (root.tells_advisories or not root.advisories)
        return self._read_feed(root.changes, {}, {}, Mark(0, root.changes, alone))

    def _read_feed(self, url: str, query: Mapping[str, str], since: Mapping[str, Mark], mark: Mark) -> News | None:
        asked = f"{url}{'&' if '?' in url else '?'}{urlencode(query)}" if query else url
        try:
            response = self._http.one(self._request(asked))
            return read_feed(response, since, mark, branches=self._settings.branches)
        except (IndexUnreachable, IndexLied):
            return None

    def _is_ours(self, url: str) -> bool:
        """Whether a mark is one of this repository: its settings may have changed since."""
        here, there = urlsplit(self._url).netloc, urlsplit(url).netloc
        return here == there or (is_near(url, self._url) and urlsplit(self._url).hostname != urlsplit(url).hostname)

    # --- the root ---

    def _asked_root(self) -> Root:
        response = self._http.one(self._request(root_url(self._url)))
        root = read_root(self._body(response), response.url)
        for url, digest in root.providers.items():
            body = self._checked(url, digest, "sha256")
            root = replace(root, hashes={**root.hashes, **read_providers(body, url)})
        return self._included(root)

    def _included(self, root: Root) -> Root:
        seen: set[str] = set()
        while waiting := [url for url in root.includes if url not in seen]:
            url = waiting[0]
            seen.add(url)
            if len(seen) > _MOST_INCLUDES:
                raise IndexLied(root.url, "includes", f"at most {_MOST_INCLUDES} of them", "more")
            packages, more = read_include(self._checked(url, root.includes[url], "sha1"), url, root.url)
            root = root.with_included(packages, {**root.includes, **more})
        return root

    def _checked(self, url: str, digest: str, algorithm: str) -> bytes:
        """A file that the root names with its hash."""
        body = self._body(self._http.one(self._request(url)))
        if hashlib.new(algorithm, body, usedforsecurity=False).hexdigest() != digest:
            raise IndexLied(url, "body", f"{algorithm} {digest}", "another one")
        return body

    # --- packages ---

    def _asked(self, known: Sequence[Lookup], news: News | None) -> Iterator[Lookup]:
        """The packages that have to be asked for; those whose files are older than the feed says, once more."""
        by_file: list[Lookup] = []
        for lookup in known:
            found = self._without_asking(lookup, news)
            if found is None:
                by_file.append(lookup)
            else:
                yield found
        stale: list[Lookup] = []
        for lookup, answers in self._fetched(by_file):
            if news is not None and self._is_stale(lookup, answers, news.changed_at(lookup.package)):
                stale.append(lookup)
            else:
                yield self._learned(lookup, answers, self._mark(news))
        # The feed is ahead of the servers that have the files. What they do not have yet is asked for again by the next
        # look, because its mark stays where it is.
        for lookup, answers in self._fetched(stale):
            late = news is not None and self._is_stale(lookup, answers, news.changed_at(lookup.package))
            yield self._learned(lookup, answers, lookup.etag if late else self._mark(news))

    def _mark(self, news: News | None) -> str:
        return str(news.mark) if news is not None else ""

    def _without_asking(self, lookup: Lookup, news: News | None) -> Lookup | None:
        """What the root alone tells of a package, or None if it has a file of its own."""
        root, package, mark = self._root, lookup.package, self._mark(news)
        if news is not None and news.is_quiet_about(package):
            return self._answered(quiet(lookup, news.mark))
        if package in root.inline:
            try:
                metadata = read(root.inline[package], package, root.url)
            except IndexLied as error:
                return self._unanswered(lookup, error)
            return self._known(lookup, [self._only_wanted(metadata)], "", mark)
        if not root.may_have(package) or not root.file_of(package):
            return self._absent(lookup, mark)
        return None

    def _only_wanted(self, metadata: Metadata) -> Metadata:
        """Version 1 has tags and branches in one place."""
        if self._settings.branches:
            return metadata
        return replace(metadata, releases=tuple(r for r in metadata.releases if not is_a_branch(r.version)))

    def _fetched(self, known: Sequence[Lookup]) -> Iterator[tuple[Lookup, list[Response | IndexUnreachable]]]:
        """Each package with the answers for its files: its tags, and its branches if they are wanted."""
        waiting: dict[str, dict[int, Response | IndexUnreachable]] = {}
        asked: dict[Request, tuple[Lookup, int]] = {}
        suffixes = ("", BRANCHES) if self._settings.branches and not self._root.by_hash else ("",)
        for lookup in known:
            conditions = lookup.last_modified.split(_BETWEEN)
            for number, suffix in enumerate(suffixes):
                since = conditions[number] if number < len(conditions) else ""
                request = self._request(self._root.file_of(lookup.package, suffix), since)
                asked[request] = lookup, number
        for request, result in self._http.many(tuple(asked)):
            lookup, number = asked.pop(request)
            mine = waiting.setdefault(lookup.package, {})
            mine[number] = result
            if len(mine) == len(suffixes):
                del waiting[lookup.package]
                yield lookup, [mine[place] for place in range(len(suffixes))]

    def _is_stale(self, lookup: Lookup, answers: Sequence[Response | IndexUnreachable], changed_at: float) -> bool:
        said = [answer.headers.get("last-modified", "") for answer in answers if isinstance(answer, Response)]
        if any(isinstance(answer, Response) and answer.status == 304 for answer in answers):
            said += lookup.last_modified.split(_BETWEEN)
        known = [time for text in said if (time := _unix(text)) is not None]
        return bool(changed_at and known) and max(known) < changed_at

    def _learned(self, lookup: Lookup, answers: Sequence[Response | IndexUnreachable], mark: str) -> Lookup:
        found: list[Metadata] = []
        modified: list[str] = []
        try:
            for number, answer in enumerate(answers):
                if isinstance(answer, IndexUnreachable):
                    raise answer
                metadata, since = self._read(lookup, answer, number)
                if metadata is None and number == 0:
                    return self._absent(lookup, mark)
                found.append(metadata or Metadata())
                modified.append(since)
        except (Temporary, Refused) as error:
            return self._unanswered(lookup, error)
        return self._known(lookup, found, _BETWEEN.join(modified), mark)

    def _read(self, lookup: Lookup, answer: Response, number: int) -> tuple[Metadata | None, str]:
        """What one file says, and when it was last changed; None if there is none."""
        conditions = lookup.last_modified.split(_BETWEEN)
        since = conditions[number] if number < len(conditions) else ""
        if answer.status == 304 and since:
            return self._unchanged(lookup, number), since
        if answer.status in (404, 410):
            return None, ""
        metadata = parse(self._body(answer), lookup.package, answer.url)
        said = answer.headers.get("last-modified", "")
        return self._only_wanted(metadata), said if _VALIDATOR.fullmatch(said) and _BETWEEN not in said else ""

    def _unchanged(self, lookup: Lookup, number: int) -> Metadata:
        """What is known of a package from one of its files."""
        if not self._settings.branches:
            return Metadata(tuple(lookup.releases), lookup.status_said, tuple(lookup.advisories))
        mine = tuple(release for release in lookup.releases if is_a_branch(release.version) is (number == 1))
        return Metadata(mine) if number else Metadata(mine, lookup.status_said, tuple(lookup.advisories))

    def _known(self, lookup: Lookup, found: Sequence[Metadata], modified: str, mark: str) -> Lookup:
        before = {release.version: release for release in lookup.releases}
        releases = [moved(before.get(one.version, one), one) for metadata in found for one in metadata.releases]
        tags = found[0]
        return self._answered(
            replace(
                lookup,
                outcome=Outcome.ANSWER,
                releases=_same(lookup.releases, releases),
                advisories=tags.advisories,
                status=ABANDONED if tags.abandoned else "",
                status_said=tags.abandoned,
                last_modified=modified,
                etag=mark,
            )
        )

    def _absent(self, lookup: Lookup, mark: str) -> Lookup:
        gone = replace(
            lookup, outcome=Outcome.ABSENT, releases=(), advisories=(), last_modified="", status="", status_said=""
        )
        return self._answered(replace(gone, etag=mark))

    # --- advisories ---

    def _warned(self, found: Iterator[Lookup]) -> Iterator[Lookup]:
        """The lookups, with what the repository knows against the packages in full."""
        root = self._root
        waiting: list[Lookup] = []
        for lookup in found:
            hit = any(not one.url for one in lookup.advisories) if root.tells_advisories else True
            if lookup.outcome is Outcome.ANSWER and ((root.advisories and hit) or root.malware):
                waiting.append(lookup)
            else:
                yield lookup
        if not waiting:
            return
        try:
            listed = self._listed() if root.malware else {}
            told = self._told(waiting) if root.advisories else {}
        except (Temporary, Refused) as error:
            yield from (self._untold(lookup, error) for lookup in waiting)
            return
        for lookup in waiting:
            full = {one.id: one for one in told.get(lookup.package, ())}
            ids = {one.id for one in lookup.advisories} if root.tells_advisories else full.keys()
            own = [full.get(one.id, one) for one in lookup.advisories if one.id in ids]
            more = [one for id, one in full.items() if not root.tells_advisories and id not in {o.id for o in own}]
            yield replace(lookup, advisories=_same(lookup.advisories, [*own, *more, *listed.get(lookup.package, ())]))

    def _untold(self, lookup: Lookup, error: Temporary | Refused) -> Lookup:
        """Where a package's own file does not tell its advisories, nothing is known of it without them."""
        if self._root.tells_advisories and not self._root.malware:
            return replace(lookup, remark=f"of its advisories only the ids are known: {error}")
        return self._unanswered(replace(lookup, etag=""), error)

    def _told(self, lookups: Sequence[Lookup]) -> dict[str, list[Advisory]]:
        found: dict[str, list[Advisory]] = {}
        for start in range(0, len(lookups), AT_ONCE):
            names = [("packages[]", lookup.package) for lookup in lookups[start : start + AT_ONCE]]
            request = replace(self._request(self._root.advisories), method="POST", body=urlencode(names).encode())
            headers = {**request.headers, "content-type": "application/x-www-form-urlencoded"}
            response = self._http.one(replace(request, headers=headers))
            found |= read_advisories(self._body(response), response.url)
        return found

    def _listed(self) -> dict[str, list[Advisory]]:
        response = self._http.one(self._request(self._root.malware))
        return read_malware(self._body(response), response.url)

    # --- all of it ---

    def _request(self, url: str, since: str = "") -> Request:
        headers = {"accept": "application/json", **({"if-modified-since": since} if since else {})}
        here, there = urlsplit(self._url), urlsplit(url)
        is_home = (here.scheme, here.netloc) == (there.scheme, there.netloc)
        return Request(url, {**headers, **self._key} if is_home else headers, private=self._settings.private)

    def _body(self, response: Response) -> bytes:
        match response.status:
            case 200:
                return response.body
            case 401 | 403 | 407:
                raise IndexRefused(response.url, f"it says {response.status}")
            case status:
                raise IndexLied(response.url, "status", "200", str(status))

    def _answered(self, lookup: Lookup) -> Lookup:
        return replace(lookup, looked_at=self._now, answered_at=self._now, reason="", attempts=0, due_at=None)

    def _unanswered(self, lookup: Lookup, error: Temporary | Refused) -> Lookup:
        if isinstance(error, Refused):
            return lookup.refused(self._now, error)
        return replace(lookup.again(self._now, error), outcome=Outcome.UNKNOWN, looked_at=self._now)


def _same(before: Sequence[T], after: Sequence[T]) -> Sequence[T]:
    """The values as they were, if they are the same: then they need not be packed and written again."""
    return before if len(before) == len(after) and tuple(before) == tuple(after) else tuple(after)


def _unix(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).replace(tzinfo=UTC).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
