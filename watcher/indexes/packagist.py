"""Packagist, and every other Composer repository, of version 2 and of version 1 of its protocol.

The protocol: https://getcomposer.org/doc/05-repositories.md#composer and https://packagist.org/apidoc.

Where a repository has a feed of changes, one request to it is a look at all packages of which it tells nothing; what it
tells of is asked for on condition that it has changed. Without a feed, each package costs such a request.
"""

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from urllib.parse import urlencode

from watcher.address import origin
from watcher.advisory import Advisory
from watcher.errors import IndexLied, IndexRefused, IndexUnreachable, Refused, Temporary
from watcher.http import Http, Request
from watcher.indexes.key import key_of
from watcher.indexes.packagist_advisories import AT_ONCE, read_advisories, read_malware
from watcher.indexes.packagist_feed import News, marks, quiet, read_feed
from watcher.indexes.packagist_lookup import TAGS, Answer, Answers, Learning, body_of, same
from watcher.indexes.packagist_root import Fetched, Root, fetch_root
from watcher.lockfiles.composer_json import PACKAGIST
from watcher.lookup import Lookup, Mark, Outcome, Trace, Traces, Unchanged
from watcher.pin import Pin
from watcher.settings import IndexSettings


def address() -> str:
    """Where Packagist is."""
    return PACKAGIST


class Packagist:
    """A repository at `settings.url`, or Packagist itself."""

    is_only_about_releases = False

    def __init__(self, settings: IndexSettings) -> None:
        self.url = (settings.url or address()).rstrip("/")
        self._settings = settings

    def unchanged(self, traces: Traces, http: Http, now: datetime, pins: Iterable[Pin] = ()) -> Unchanged | None:
        """See `Index`. One request at most."""
        with contextlib.suppress(IndexRefused):
            return self._round(http, now, pins).unchanged(traces())
        return None

    def look_up(
        self,
        known: Sequence[Lookup],
        http: Http,
        now: datetime,
        pins: Iterable[Pin] = (),
        said: Unchanged | None = None,
    ) -> Iterator[Lookup]:
        """See `Index`. One request, if nothing has changed and the repository has a feed.

        Branches are asked for where a project would take what was not released yet.
        """
        if not known:
            return
        try:
            asking = self._round(http, now, pins)
        except IndexRefused as error:
            yield from (lookup.refused(now, error) for lookup in known)
            return
        yield from asking.look_up(known, said)

    def _round(self, http: Http, now: datetime, pins: Iterable[Pin]) -> "_Round":
        learn = Learning(frozenset(pin.package for pin in pins if pin.stability == "dev"), now)
        return _Round(self._settings, self.url, key_of(self._settings, self.url), http, learn)


class _Round:
    """One look at the packages of one repository."""

    def __init__(self, settings: IndexSettings, url: str, key: Mapping[str, str], http: Http, learn: Learning) -> None:
        self._settings, self._url, self._key, self._http, self._learn = settings, url, key, http, learn
        self._root: Root

    def unchanged(self, known: Sequence[Trace]) -> Unchanged | None:
        news = self._news(known)
        if news is None or not news.mark.alone:
            return None
        return Unchanged({one.package for one in known if self._is_quiet(one, news)}, news.mark, news.changed)

    def look_up(self, known: Sequence[Lookup], said: Unchanged | None) -> Iterator[Lookup]:
        news = News(said.mark, changed=said.changed) if said else self._news(known)
        if news is not None and news.mark.alone:
            silent = {one.package for one in known if self._is_quiet(one, news)}
            yield from (quiet(one, news.mark, self._learn.now) for one in known if one.package in silent)
            known = [lookup for lookup in known if lookup.package not in silent]
        if not known:
            return
        try:
            self._root = fetch_root(self._url, self._fetch)
            news = news or self._first_news()
        except (Temporary, Refused) as error:
            yield from (lookup.unanswered(self._learn.now, error) for lookup in known)
            return
        yield from self._warned(self._asked(known, news))

    # --- the feed ---

    def _news(self, known: Sequence[Lookup] | Sequence[Trace]) -> News | None:
        """What the feed says since the oldest mark; None if there is nothing to go on from, or it does not answer.

        Then every package is asked for by itself, which is slower and as good.
        """
        # Who was not asked about all that is wanted now has nothing to go on from.
        since = marks([one for one in known if self._learn.is_complete(one)], self._learn.now)
        oldest = min(since.values(), key=lambda mark: mark.cursor, default=None)
        # The settings may have changed since, and the name may now be another index's.
        if oldest is None or oldest.index != self._url:
            return None
        return self._read_feed({"since": str(oldest.cursor)}, since.keys(), oldest)

    def _first_news(self) -> News | None:
        """Where the feed stands before anything else is asked; None without a feed."""
        root = self._root
        if not root.changes:
            return None
        alone = not root.malware and (root.tells_advisories or not root.advisories)
        return self._read_feed({}, (), Mark(0, root.changes, self._url, alone))

    def _read_feed(self, query: Mapping[str, str], since: Collection[str], mark: Mark) -> News | None:
        url = mark.url
        asked = f"{url}{'&' if '?' in url else '?'}{urlencode(query)}" if query else url
        try:
            return read_feed(self._http.one(self._request(asked)), since, mark)
        except (IndexUnreachable, IndexLied):
            return None

    def _is_quiet(self, lookup: Lookup | Trace, news: News) -> bool:
        return news.is_quiet_about(lookup.package, self._learn.suffixes(lookup))

    # --- the root ---

    def _fetch(self, url: str) -> Fetched:
        response = self._http.one(self._request(url))
        return Fetched(response.url, body_of(response))

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
            if news is not None and self._learn.is_stale(lookup, answers, news):
                stale.append(lookup)
            else:
                yield self._learn.learned(lookup, answers, self._mark(news))
        # The feed is ahead of the servers that have the files. They are given a moment; what they do not have then is
        # asked for again by the next look, because its mark stays where it is.
        for lookup, answers in self._fetched(stale, later=True):
            late = news is not None and self._learn.is_stale(lookup, answers, news)
            yield self._learn.learned(lookup, answers, lookup.feed if late else self._mark(news))

    def _mark(self, news: News | None) -> Mark | None:
        return news.mark if news is not None else None

    def _without_asking(self, lookup: Lookup, news: News | None) -> Lookup | None:
        """What the root alone tells of a package, or None if it has a file of its own."""
        root, package = self._root, lookup.package
        if news is not None and self._is_quiet(lookup, news):
            return quiet(lookup, news.mark, self._learn.now)
        if package in root.inline:
            return self._learn.inline(lookup, root.inline[package], root.url)
        if not root.may_have(package) or not root.file_of(package):
            return self._learn.absent(lookup, self._mark(news))
        return None

    def _fetched(self, known: Sequence[Lookup], *, later: bool = False) -> Iterator[tuple[Lookup, Answers]]:
        """Each package with the answers for its files: its tags, and its branches if they are wanted."""
        waiting: dict[str, dict[str, Answer]] = {}
        asked: dict[Request, tuple[Lookup, str]] = {}
        for lookup in known:
            for suffix in self._suffixes(lookup):
                request = self._request(self._root.file_of(lookup.package, suffix), lookup.files.get(suffix, ""))
                asked[request] = lookup, suffix
        for request, result in self._http.many(tuple(asked), later=later):
            lookup, suffix = asked.pop(request)
            mine = waiting.setdefault(lookup.package, {})
            mine[suffix] = result
            if mine.keys() == set(self._suffixes(lookup)):
                del waiting[lookup.package]
                yield lookup, {one: mine[one] for one in self._suffixes(lookup)}

    def _suffixes(self, lookup: Lookup) -> tuple[str, ...]:
        # Version 1 of the protocol has tags and branches in one file.
        return (TAGS,) if self._root.by_hash else self._learn.suffixes(lookup)

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
            yield replace(lookup, advisories=same(lookup.advisories, [*own, *more, *listed.get(lookup.package, ())]))

    def _untold(self, lookup: Lookup, error: Temporary | Refused) -> Lookup:
        """Where a package's own file does not tell its advisories, nothing is known of it without them.

        Without a mark it is asked about again by the next look, whatever the feed says.
        """
        if self._root.tells_advisories and not self._root.malware:
            return replace(lookup, feed=None, remark=f"of its advisories only the ids are known: {error}")
        return replace(lookup, feed=None).unanswered(self._learn.now, error)

    def _told(self, lookups: Sequence[Lookup]) -> dict[str, list[Advisory]]:
        found: dict[str, list[Advisory]] = {}
        for start in range(0, len(lookups), AT_ONCE):
            names = [("packages[]", lookup.package) for lookup in lookups[start : start + AT_ONCE]]
            request = replace(self._request(self._root.advisories), method="POST", body=urlencode(names).encode())
            headers = {**request.headers, "content-type": "application/x-www-form-urlencoded"}
            response = self._http.one(replace(request, headers=headers))
            found |= read_advisories(body_of(response), response.url)
        return found

    def _listed(self) -> dict[str, list[Advisory]]:
        response = self._http.one(self._request(self._root.malware))
        return read_malware(body_of(response), response.url)

    # --- all of it ---

    def _request(self, url: str, since: str = "") -> Request:
        """What is asked at `url`. The key goes to where the settings say that the repository is, and nowhere else; what
        it says itself of other places is a stranger's word."""
        headers = {"accept": "application/json", **({"if-modified-since": since} if since else {})}
        private, is_home = self._settings.private, origin(url) == origin(self._url)
        return Request(
            url, {**headers, **self._key} if is_home else headers, private=private, guarded=not (is_home or private)
        )
