"""Weighing: what became known of an app's pins turns into decisions, and decisions into bumps.

A matter of the ledger alone, so the look does it: whatever changed (an answer of an index, the lock, the configuration,
the time), the next round sees it. What has not changed is not weighed again.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from watcher.bump import Bump
from watcher.bumps import followed
from watcher.choose import choose
from watcher.decision import Decision, Subject
from watcher.event import Event, Fact
from watcher.head import Head
from watcher.inventory import Item, inventory
from watcher.known import Known, digest
from watcher.ledger import Ledger
from watcher.lookup import IndexState
from watcher.past import Past
from watcher.pin import CONFIGURED
from watcher.settings import Settings
from watcher.standing import Standing, Weighing
from watcher.watchlist import Watchlist


def weigh(head: Head, settings: Settings, ledger: Ledger, now: datetime) -> bool:
    """Lets the right decision stand for each pin of an app, and finds the bumps that follow; tells if it had to.

    `Overtaken` if somebody else writes the same bumps at the same time; then nothing is lost, and the next call does
    it.
    """
    name = head.app
    if not head.commit:
        return False
    mark, before = _mark(head, settings, ledger), ledger.weighings([name]).get(name)
    if before is not None and before.stands(mark, now):
        return False
    bumps = ledger.all(Bump, app=name)
    known = Known.read(settings, ledger)
    past = Past.of(bumps, lambda bump: known.ground(bump, head.everything), now)
    standing = _decided(name, inventory(head, settings.apps[name]), known, past, ledger, now)
    decisions = [one.decision for one in standing.values()]
    ledger.write(followed(decisions, bumps, head, known, past, now), now)
    gone = {one.decision.subject for one in ledger.standing(name)} - standing.keys()
    times = [*(one.until for one in standing.values()), *(one.until for one in past.groups.values())]
    until = min((at for at in times if at and at > now), default=None)
    unseen = Watchlist.of(head.everything, settings, ledger).unseen(ledger)
    # The mark is from before the reading: what came in meanwhile, and what we wrote ourselves, is looked at once more.
    ledger.weighed(name, Weighing(mark, until, unseen), gone)
    return True


def _mark(head: Head, settings: Settings, ledger: Ledger) -> str:
    """Everything that a decision about the app can depend on, but the time."""
    app = settings.apps[head.app]
    names = [*settings.indexes, *settings.advisories]
    changed = sorted((state.index, str(state.changed_at)) for state in ledger.all(IndexState, index=names))
    wishes = (app.policy, app.image, app.pinned_in, app.in_step, settings.indexes, settings.advisories)
    return digest(head.commit, head.basis, wishes, changed, ledger.tally(Bump, app=head.app))


def _decided(
    app: str, items: Iterable[Item], known: Known, past: Past, ledger: Ledger, now: datetime
) -> dict[Subject, Standing]:
    """The decisions that stand for these, of which those are made again whose basis is another one now."""
    before = {one.decision.subject: one for one in ledger.standing(app)}
    standing: dict[Subject, Standing] = {}
    made: list[Standing] = []
    for one in items:
        subject, lookup = (one.pin.package, one.pin.version), known.of(one.pin)
        basis, old = known.basis(one.pin, lookup, app, past, one.outside), before.get(subject)
        if old is None or not old.stands(basis, now):
            rules = known.rules(one.pin, lookup, app, past, one.outside)
            old = Standing(choose(one.pin, lookup, rules, now), basis)
            made.append(old)
        standing[subject] = old
    if made:
        ledger.decide(*made, happened=_told([one.decision for one in made], before))
    return standing


def _told(made: Iterable[Decision], before: Mapping[Subject, Standing]) -> Iterator[Event]:
    """An event for each pin that an advisory hits, whose release was taken back or whose project is over, as of now."""
    words = {(one.decision.package, one.decision.status) for one in before.values()}
    for one in made:
        last = before[one.subject].decision if one.subject in before else None
        fresh = [name for name in one.advisories if last is None or name not in last.advisories]
        facts = {"package": one.package, "version": one.current, "said": one.said}
        if fresh:
            yield _event(one, "hit", facts | {"advisories": ", ".join(fresh)})
        moved = [reason.version for reason in one.reasons if reason.rule == CONFIGURED]
        if moved and one.current and (last is None or moved != [reason.version for reason in last.reasons]):
            yield _event(one, "moved", facts)
        if one.flaw and (last is None or not last.flaw):
            yield _event(one, "flawed", facts)
        if one.status and (one.package, one.status) not in words:
            words.add((one.package, one.status))
            yield _event(one, one.status if one.status in _STATUSES else "remarked", facts)


_STATUSES = ("abandoned", "archived", "deprecated", "quarantined")
"""What indexes call projects that are over. Any other word of theirs is told, too, and names no kind of event."""


def _event(one: Decision, verb: str, facts: Mapping[str, Fact]) -> Event:
    return Event(at=one.at, kind=f"pin.{verb}", app=one.app, subject=f"{one.app}:{one.package}", facts=facts)
