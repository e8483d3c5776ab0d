"""Weighing: what became known of an app's pins turns into decisions, and decisions into bumps.

A matter of the ledger alone, so the look does it: whatever changed (an answer of an index, the lock, the configuration,
the time), the next round sees it. What has not changed is not weighed again.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from watcher.bump import Bump
from watcher.bumps import followed
from watcher.choose import choose
from watcher.decision import Decision
from watcher.ecosystems import ECOSYSTEMS
from watcher.event import Event, Fact
from watcher.head import Head
from watcher.known import Known, digest
from watcher.ledger import Ledger
from watcher.lookup import IndexState
from watcher.past import Past
from watcher.pin import Pin
from watcher.settings import Settings
from watcher.standing import Standing, Weighing


def weigh(name: str, settings: Settings, ledger: Ledger, now: datetime) -> bool:
    """Lets the right decision stand for each pin of the app, and finds the bumps that follow; tells if it had to.

    `Overtaken` if somebody else writes the same bumps at the same time; then nothing is lost, and the next call does
    it.
    """
    head = ledger.find(Head, app=name)
    if head is None or not head.commit:
        return False
    mark, before = _mark(head, settings, ledger), ledger.weighing(name)
    if before is not None and before.stands(mark, now):
        return False
    bumps = ledger.all(Bump, app=name)
    known = Known.read(settings, ledger)
    past = Past.of(bumps, lambda bump: known.ground(bump, head.pins), now)
    standing = _decided(name, _pins(head, settings), known, past, ledger, now)
    decisions = {package: one.decision for package, one in standing.items()}
    ledger.write(followed(decisions, bumps, head, known, past, now), now)
    gone = ledger.standing(name).keys() - standing.keys()
    times = [*(one.until for one in standing.values()), *(one.until for one in past.groups.values())]
    until = min((at for at in times if at and at > now), default=None)
    # The mark is from before the reading: what came in meanwhile, and what we wrote ourselves, is looked at once more.
    ledger.weighed(name, Weighing(mark, until), gone)
    return True


def _mark(head: Head, settings: Settings, ledger: Ledger) -> str:
    """Everything that a decision about the app can depend on, but the time."""
    app = settings.apps[head.app]
    names = [*settings.indexes, *settings.advisories]
    changed = sorted((state.index, str(state.changed_at)) for state in ledger.all(IndexState, index=names))
    wishes = (app.policy, app.image, app.pinned_in, settings.indexes, settings.advisories)
    return digest(head.commit, wishes, changed, ledger.tally(Bump, app=head.app))


def _pins(head: Head, settings: Settings) -> list[Pin]:
    """The pins to decide about: one for each package that is installed in the image, and of several the lowest."""
    app, found = settings.apps[head.app], dict[str, Pin]()
    for pin in head.pins:
        ecosystem = ECOSYSTEMS.get(pin.ecosystem)
        if ecosystem is None or not ecosystem.target(app.image).wants(pin):
            continue
        other = found.get(pin.package)
        if other is None or ecosystem.scheme.key(pin.version) < ecosystem.scheme.key(other.version):
            found[pin.package] = pin
    return list(found.values())


def _decided(
    app: str, pins: Iterable[Pin], known: Known, past: Past, ledger: Ledger, now: datetime
) -> dict[str, Standing]:
    """The decisions that stand for these pins, of which those are made again whose basis is another one now."""
    before = ledger.standing(app)
    made: list[Decision] = []
    basis: dict[str, str] = {}
    standing: dict[str, Standing] = {}
    for pin in pins:
        lookup = known.of(pin)
        basis[pin.package] = known.basis(pin, lookup, app, past)
        old = before.get(pin.package)
        if old is not None and old.stands(basis[pin.package], now):
            standing[pin.package] = old
        else:
            made.append(choose(pin, lookup, known.rules(pin, lookup, app, past), now))
            standing[pin.package] = Standing(made[-1], basis[pin.package])
    if made:
        ledger.decide(*made, basis=basis, happened=_told(made, before))
    return standing


def _told(made: Iterable[Decision], before: Mapping[str, Standing]) -> Iterator[Event]:
    """An event for each pin that an advisory hits, whose release was taken back or whose project is over, as of now."""
    for one in made:
        old = before.get(one.package)
        last = old.decision if old is not None and old.decision.current == one.current else None
        fresh = [name for name in one.advisories if last is None or name not in last.advisories]
        facts = {"package": one.package, "version": one.current, "said": one.said}
        if fresh:
            yield _event(one, "hit", facts | {"advisories": ", ".join(fresh)})
        if one.flaw and (last is None or not last.flaw):
            yield _event(one, "flawed", facts)
        if one.status and (old is None or old.decision.status != one.status):
            yield _event(one, one.status if one.status in _STATUSES else "remarked", facts)


_STATUSES = ("abandoned", "archived", "deprecated", "quarantined")
"""What indexes call projects that are over. Any other word of theirs is told, too, and names no kind of event."""


def _event(one: Decision, verb: str, facts: Mapping[str, Fact]) -> Event:
    return Event(at=one.at, kind=f"pin.{verb}", app=one.app, subject=f"{one.app}:{one.package}", facts=facts)
