"""What is to be watched: for each index and each source of advisories, the packages that it is to be asked about."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from watcher.head import Head
from watcher.ledger import Ledger
from watcher.lookup import Bulletin, IndexState, Lookup, Outcome
from watcher.pin import Pin
from watcher.route import is_open, leads_on, routes
from watcher.settings import Settings

Subject = tuple[str, str]
"""An ecosystem, and the name of a package in it."""


class Said(NamedTuple):
    """What an index has said of a package, and whether it had it before that."""

    outcome: Outcome
    was_there: bool


class _Said(dict[str, Mapping[str, Said]]):
    """Read from the ledger where somebody asks for it: with one index for everything, nobody has to."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        super().__init__()

    def __missing__(self, index: str) -> Mapping[str, Said]:
        rows = self._ledger.rows(Lookup, "package", "outcome", "had_at", index=index)
        self[index] = {package: Said(outcome, had_at is not None) for package, outcome, had_at in rows}
        return self[index]


@dataclass(frozen=True, slots=True)
class Watchlist:
    """The pins of all apps, and what was `said` of them so far, by index and package."""

    settings: Settings
    pins: tuple[Pin, ...]
    said: Mapping[str, Mapping[str, Said]]

    @classmethod
    def read(cls, settings: Settings, ledger: Ledger, heads: Iterable[Head] | None = None) -> "Watchlist":
        """As the ledger knows it. `heads` are those of all apps, if they were read already."""
        if heads is None:
            heads = ledger.kept(Head, "app", settings.apps)
        return cls.of([pin for head in heads for pin in head.everything], settings, ledger)

    @classmethod
    def of(cls, pins: Iterable[Pin], settings: Settings, ledger: Ledger) -> "Watchlist":
        """Of these pins alone."""
        return cls(settings, tuple(pins), _Said(ledger))

    def packages(self, index: str) -> set[str]:
        """Those that an index is to be asked about: it is their turn on the way of a pin (`watcher.route`)."""
        found = set()
        for pin, way in routes(self.pins, self.settings.indexes):
            if index in way and all(self._leads_on(name, pin) for name in way[: way.index(index)]):
                found.add(pin.package)
        return found

    def subjects(self) -> set[Subject]:
        """Those that sources of advisories are to be asked about.

        They come from a public index: the name of an internal package is nobody's business, and a public advisory about
        that name is about another package.
        """
        ways = routes(self.pins, self.settings.indexes)
        return {(pin.ecosystem, pin.package) for pin, way in ways if self._is_public(pin, way)}

    def is_unseen(self, index: str) -> bool:
        """Whether there is a package that the index was never asked about."""
        return not self.packages(index) <= self.said[index].keys()

    def is_unasked(self, ledger: Ledger) -> bool:
        """Whether there is a package of which the first answer is still to come, from an index that can be asked."""
        unseen = [name for name in self.settings.indexes if self.is_unseen(name)]
        failed = {state.index for state in ledger.all(IndexState, index=unseen) if state.reason}
        return not failed.issuperset(unseen)

    def unseen(self, ledger: Ledger) -> dict[str, bool]:
        """The indexes and sources of advisories that are to be asked about any of these pins, and of each whether
        there is one that it was never asked about."""
        found = {name: self.is_unseen(name) for name in self.settings.indexes if self.packages(name)}
        if subjects := self.subjects():
            for name in self.settings.advisories:
                heard = {tuple(row) for row in ledger.rows(Bulletin, "ecosystem", "package", source=name)}
                found[name] = not subjects <= heard
        return found

    def _leads_on(self, index: str, pin: Pin) -> bool:
        """Whether the index behind this one has its turn."""
        outcome, was_there = self._said(index, pin) or (None, False)
        return leads_on(outcome, was_there, is_open(pin, self.settings.indexes[index]))

    def _said(self, index: str, pin: Pin) -> Said | None:
        return self.said[index].get(pin.package)

    def _is_public(self, pin: Pin, way: Iterable[str]) -> bool:
        for name in way:
            said = self._said(name, pin)
            if said is None or said.outcome is not Outcome.ABSENT or not self._leads_on(name, pin):
                return said is not None and self.settings.indexes[name].is_public
        return False
