"""Why a package moves, or does not: plain JSON values, the same behind the words and the --json of `toplayer why`."""

from collections.abc import Iterator
from datetime import datetime

from watcher import view
from watcher.advisory import affecting
from watcher.bump import Bump
from watcher.decision import Decision
from watcher.ecosystems import ECOSYSTEMS
from watcher.known import Known
from watcher.ledger import Ledger
from watcher.lookup import Lookup
from watcher.policy import matches
from watcher.settings import Settings

_BUMPS = 5


def find(ledger: Ledger, app: str, package: str, at: datetime | None) -> Decision | None:
    """The decision about a package, however its name is spelled, that stood at `at` (UTC), or that stands now."""
    for spelled in dict.fromkeys((package, package.lower())):
        found = ledger.decisions(app, spelled, before=at, limit=1)
        if found:
            return found[0]
    return next((one for one in ledger.decisions(app, before=at) if matches(package, one.package)), None)


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
        "lookup": view.lookup_row(lookup) if lookup else None,
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
