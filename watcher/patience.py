"""How patient the poll of an index may be: what has to wait anyway may be heard of a little later.

A lookup is written together with the time until which its package is spared, so that a round reads of a thousand
packages only those that are not.
"""

from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from watcher.bump import Bump, BumpStage
from watcher.head import Head
from watcher.known import digest
from watcher.ledger import Ledger
from watcher.lookup import Glance, IndexState, Lookup, Outcome
from watcher.retry import share
from watcher.settings import Settings
from watcher.turn import Turn

_PART = 3
"""A release is heard of within a third of its cooldown: of three days, one. The rest is there to hear that it was taken
back, and for an index that cannot be asked for a day."""
_OF_AGE = 10
"""And within a tenth of the time for which nothing has come out, as HTTP takes to be fresh what has no word of its own
on that (RFC 9111, section 4.2.2): what moves often is asked about often."""
_MOST = timedelta(days=1)
"""And within a day: that a pinned release was taken back has no cooldown."""
_SPREAD = 0.25
_AHEAD = timedelta(hours=1)
"""Who is due so soon is asked about now if anybody is: a connection costs as much as some requests."""


@dataclass(frozen=True, slots=True)
class Patience:
    """The shortest and the longest of the `cooldowns` that a package's releases wait out, of all apps that pin it."""

    cooldowns: Mapping[str, tuple[timedelta, timedelta]]

    @classmethod
    def read(cls, settings: Settings, heads: Iterable[Head], packages: Collection[str]) -> "Patience":
        """With these packages, as the `heads` of all apps pin them."""
        cooldowns: dict[str, tuple[timedelta, timedelta]] = {}
        for head in heads:
            for package in {pin.package for pin in head.everything if pin.package in packages}:
                wanted = settings.apps[head.app].policy.of(package).cooldown
                mine = sorted((wanted.patch, wanted.minor, wanted.major, *cooldowns.get(package, ())))
                cooldowns[package] = mine[0], mine[-1]
        return cls(cooldowns)

    def until(self, known: Lookup, now: datetime) -> datetime | None:
        """Until when an index that has just said this of a package need not be asked about it again, if nothing is
        decided about it meanwhile, and nothing moves it. None: in every round.

        Nothing comes later by it: a release is free when its cooldown is over, whenever it was heard of. Asked in every
        round is about what may be taken soon, and must not have been taken back: a package with a release that is still
        cooling or undated.
        """
        shortest, longest = self.cooldowns.get(known.package, (timedelta(), timedelta()))
        if known.outcome is not Outcome.ANSWER or known.newest_at is None or now - known.newest_at <= longest:
            return None
        spared = min(shortest / _PART, (now - known.newest_at) / _OF_AGE, _MOST)
        # What was asked about together is not asked about together for ever.
        return now + spared * (1 - _SPREAD * share(known.package, now))


def terms(settings: Settings) -> str:
    """All but the lookup that patience depends on, in short."""
    return digest({name: app.policy for name, app in settings.apps.items()}, settings.indexes)


def on_terms(state: IndexState, terms: str, ledger: Ledger) -> IndexState:
    """The index's state, of whose lookups none is spared any more that was on other terms than these."""
    if state.spared_by == terms:
        return state
    packages = [row[0] for row in ledger.rows(Lookup, "package", index=state.index)]
    ledger.set(Lookup, {"spared_until": None}, field="package", of=packages, index=state.index)
    return replace(state, spared_by=terms)


def spares_all(state: IndexState, settings: Settings, ledger: Ledger, turn: Turn) -> bool:
    """Whether there is nothing to be asked of an index now that was asked about every package."""
    if turn.at_once or state.due_at is not None or state.spared_by != terms(settings):
        return False
    return not _unspared(state, turn.now, settings, ledger)


def due(
    state: IndexState, wanted: Set[str], settings: Settings, ledger: Ledger, turn: Turn
) -> tuple[list[str], dict[str, Glance]]:
    """The packages that an index is to be asked about now, and what is seen of those that are not spared.

    Where it is asked at all, it is asked as well about those that would be due soon.
    """
    new = wanted - {row[0] for row in ledger.rows(Lookup, "package", index=state.index)}
    if turn.at_once:
        found = [Glance(*row) for row in ledger.rows(Lookup, *Glance._fields, index=state.index)]
    else:
        found = _unspared(state, turn.now + _AHEAD, settings, ledger)
    seen = {one.package: one for one in found if one.package in wanted}
    if state.spared_by and (unwanted := {one.package for one in found} - wanted):
        # Nobody pins them, or another index has them: for a day they are in nobody's way.
        values = {"looked_at": turn.now, "spared_until": turn.now + _MOST}
        ledger.set(Lookup, values, field="package", of=unwanted, index=state.index)
    mine = {name for name, one in seen.items() if turn.has(one.looked_at, one.due_at, one.throttled)}
    return sorted(new | mine), seen


def _unspared(state: IndexState, until: datetime, settings: Settings, ledger: Ledger) -> list[Glance]:
    bumps = ledger.all(Bump, app=list(settings.apps), stage=[stage for stage in BumpStage if stage.is_open])
    moving = {part.package for bump in bumps for part in bump.parts}
    return ledger.unspared(state, until, settings.apps, moving)
