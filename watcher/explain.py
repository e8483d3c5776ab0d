"""Why a package moves, or does not: plain JSON values, the same behind the words and the --json of `toplayer why`."""

from collections.abc import Iterator
from datetime import datetime

from watcher import feed, view
from watcher.advisory import affecting
from watcher.bump import Bump
from watcher.decision import Decision
from watcher.ecosystems import ECOSYSTEMS
from watcher.head import Head
from watcher.inventory import inventory
from watcher.known import Known
from watcher.ledger import Ledger
from watcher.lookup import IndexState, Lookup
from watcher.policy import matches
from watcher.settings import Settings

_BUMPS = 5


def find(settings: Settings, ledger: Ledger, app: str, package: str, at: datetime | None) -> tuple[Decision, ...]:
    """The decisions about a package, however its name is spelled: those that stand now, of several versions that are
    pinned the one that is in the image first; or, of what stood at `at` (UTC) or is not pinned any more, the last one.
    """
    known = ledger.decided(app, at)
    name = next((one for one in known if one == package), next((one for one in known if matches(package, one)), None))
    if name is None:
        return ()
    standing = {one.decision.subject: one.decision for one in ledger.standing(app) if at is None}
    head = ledger.find(Head, app=app) or Head(app=app)
    subjects = [(one.pin.package, one.pin.version) for one in inventory(head, settings.apps[app])]
    found = tuple(standing[one] for one in subjects if one[0] == name and one in standing)
    return found or ledger.decisions(app, name, before=at, limit=1)


def why(settings: Settings, ledger: Ledger, decision: Decision, now: datetime | None) -> view.Row:
    """A decision with every release that was considered; and, as of `now` (UTC; None leaves it out), what its index and
    the sources of advisories say, what is known against the pin, and the bumps that came of it."""
    row = view.decision_row(decision)
    if now is None:
        return row
    known = Known.read(settings, ledger)
    lookup = known.lookups.get((decision.index, decision.package))
    bulletins = [one for key, some in known.bulletins.items() if key[1] == decision.package for one in some]
    bumps = [
        bump
        for bump in ledger.all(Bump, app=decision.app, order="-found_at")
        if any(part.package == decision.package for part in bump.parts)
    ]
    return row | {
        "lookup": view.lookup_row(feed.seen(lookup, ledger.find(IndexState, index=lookup.index))) if lookup else None,
        "bulletins": [view.bulletin_row(one) for one in bulletins],
        "against": list(_against(settings, decision, known, lookup)),
        "bumps": view.bump_rows(settings, ledger, bumps[:_BUMPS], now),
    }


def _against(settings: Settings, decision: Decision, known: Known, lookup: Lookup | None) -> Iterator[view.Row]:
    index = settings.indexes.get(decision.index)
    if index is None:
        return
    bulletins = known.bulletins.get((index.kind, decision.package), ())
    advisories = [*(lookup.advisories if lookup else ()), *(one for some in bulletins for one in some.advisories)]
    for name, one in sorted(affecting(decision.current, advisories, ECOSYSTEMS[index.kind].scheme).items()):
        yield {"name": name, "id": one.id, "severity": one.severity, "summary": one.summary, "url": one.url}
