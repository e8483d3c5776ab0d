"""Weighing: what became known of an app's pins turns into decisions, and decisions into bumps.

A matter of the ledger alone, so the look does it: whatever changed (an answer of an index, the lock, the configuration,
the time), the next round sees it. What has not changed is not weighed again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from watcher.bump import Bump, BumpStage, Part
from watcher.choose import choose
from watcher.decision import Decision, Verdict
from watcher.ecosystems import ECOSYSTEMS
from watcher.event import Event
from watcher.head import Head
from watcher.inert import inert
from watcher.known import Known, digest, silenced
from watcher.ledger import Ledger
from watcher.lockfiles import ecosystem_of
from watcher.lookup import IndexState
from watcher.pin import Pin
from watcher.settings import Settings
from watcher.standing import Standing, Weighing
from watcher.tend import stands


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
    standing = _decided(name, _pins(head, settings), known, bumps, ledger, now)
    _find(name, standing, bumps, known, ledger, now)
    gone = ledger.standing(name).keys() - standing.keys()
    until = min((one.until for one in standing.values() if one.until and one.until > now), default=None)
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
    app: str, pins: Iterable[Pin], known: Known, bumps: Sequence[Bump], ledger: Ledger, now: datetime
) -> dict[str, Standing]:
    """The decisions that stand for these pins, of which those are made again whose basis is another one now."""
    before, put_aside = ledger.standing(app), silenced(bumps)
    made: list[Decision] = []
    basis: dict[str, str] = {}
    standing: dict[str, Standing] = {}
    for pin in pins:
        lookup, quiet = known.of(pin), put_aside.get(pin.package, {})
        basis[pin.package] = known.basis(pin, lookup, app, quiet)
        old = before.get(pin.package)
        if old is not None and old.stands(basis[pin.package], now):
            standing[pin.package] = old
        else:
            made.append(choose(pin, lookup, known.rules(pin, lookup, app, quiet), now))
            standing[pin.package] = Standing(made[-1], basis[pin.package])
    if made:
        ledger.decide(*made, basis=basis, happened=_hit(made, before))
    return standing


def _hit(made: Iterable[Decision], before: Mapping[str, Standing]) -> Iterator[Event]:
    """An event for each pin that an advisory hits which did not hit it before."""
    for one in made:
        old = before.get(one.package)
        known = old.decision.advisories if old is not None and old.decision.current == one.current else ()
        fresh = [name for name in one.advisories if name not in known]
        if fresh:
            facts = {"package": one.package, "version": one.current, "advisories": ", ".join(fresh), "said": one.said}
            yield Event(at=one.at, kind="pin.hit", app=one.app, subject=f"{one.app}:{one.package}", facts=facts)


# --- bumps ----------------------------------------------------------------------------------------------------------


def _find(
    app: str, standing: Mapping[str, Standing], bumps: Sequence[Bump], known: Known, ledger: Ledger, now: datetime
) -> None:
    """Writes the bumps that the decisions are, and takes back those that they are not any more."""
    decisions, head = {package: one.decision for package, one in standing.items()}, ledger.find(Head, app=app)
    wanted = _wanted(app, decisions, bumps, known.settings)
    by_id = {bump.id: bump for bump in bumps}
    changes: list[tuple[Bump | None, Bump]] = []
    for bump in bumps:
        if bump.stage is BumpStage.FOUND and not bump.by and bump.id not in wanted:
            said = _why_not(bump, decisions)
            changes += [(bump, bump.at(BumpStage.SUPERSEDED, now, reason=said))] if said else []
        if bump.stage is BumpStage.PROPOSED and head is not None and stands(bump, head):
            said = _taken_back(bump, decisions)
            changes += [(bump, bump.at(BumpStage.SUPERSEDED, now, reason=said))] if said else []
    for id, members in wanted.items():
        before = by_id.get(id)
        if before is None:
            changes.append((None, _bump(id, members, known, now)))
        elif not before.stage.is_open:
            # It gave way to something newer that is not to be had any more.
            changes.append((before, replace(_bump(id, members, known, now), revision=before.revision)))
    ledger.write(changes, now)


_TAKEN_BACK = ("yanked", "malware", "advisory")
"""Rules by which a release that was good when it was proposed is not any more."""


def _taken_back(bump: Bump, decisions: Mapping[str, Decision]) -> str:
    """Why a bump that waits on a branch of ours should not be merged any more. Otherwise what was chosen stays so."""
    for part in bump.parts:
        decision = decisions.get(part.package)
        for reason in decision.reasons if decision else ():
            if reason.version == part.to_version and reason.rule in _TAKEN_BACK:
                return reason.said
    return ""


def _wanted(
    app: str, decisions: Mapping[str, Decision], bumps: Iterable[Bump], settings: Settings
) -> dict[str, list[Decision]]:
    """The bumps that the decisions are, but for what is proposed already: one per package, or per group of them.

    The decisions of each, by its id and in the order of their packages.
    """
    proposed = {(p.package, p.to_version) for b in bumps if b.stage is BumpStage.PROPOSED for p in b.parts}
    groups: dict[tuple[str, str], list[Decision]] = {}
    policy = settings.apps[app].policy
    for package, decision in sorted(decisions.items()):
        if decision.verdict is Verdict.TAKEN and (package, decision.candidate) not in proposed:
            group = _group(policy.of(package).group, decision, app, settings)
            groups.setdefault((group, "" if group else package), []).append(decision)
    return {_id(app, group, members): members for (group, _), members in groups.items()}


def _id(app: str, group: str, members: Sequence[Decision]) -> str:
    if len(members) > 1:
        return Bump.id_of_group(app, group, _parts(members))
    return Bump.id_of(app, members[0].package, members[0].candidate)


def _parts(members: Iterable[Decision]) -> list[Part]:
    return [Part(one.package, one.current, one.candidate) for one in members]


def _group(wished: str, decision: Decision, app: str, settings: Settings) -> str:
    """A bump is of one lockfile: what a policy puts into one group is one of them for each."""
    ecosystem = settings.indexes[decision.index].kind
    is_first = ecosystem == ecosystem_of(settings.apps[app].lock)
    return wished if is_first or not wished else f"{wished}-{ecosystem}"


def _bump(id: str, members: Sequence[Decision], known: Known, now: datetime) -> Bump:
    first, *rest = members
    settings = known.settings
    times = [_released_at(one, known) for one in members]
    return Bump(
        id=id,
        app=first.app,
        ecosystem=settings.indexes[first.index].kind,
        package=first.package,
        from_version=first.current,
        to_version=first.candidate,
        group=_group(settings.apps[first.app].policy.of(first.package).group, first, first.app, settings),
        others=tuple(_parts(rest)),
        advisories=tuple(sorted({name for one in members for name in one.fixes})),
        found_at=now,
        released_at=min((at for at in times if at), default=None),
        why=inert("; ".join(one.said if not rest else f"{one.package}: {one.said}" for one in members)),
    )


def _released_at(one: Decision, known: Known) -> datetime | None:
    """When the candidate was released: as the decision's index has it, or another one that may have the package."""
    names = dict.fromkeys((one.index, *known.settings.indexes))
    lookups = (known.lookups.get((name, one.package)) for name in names)
    releases = (release for lookup in lookups if lookup for release in lookup.releases)
    return next((release.released_at for release in releases if release.version == one.candidate), None)


def _why_not(bump: Bump, decisions: Mapping[str, Decision]) -> str:
    """Why a bump that was found is not wanted any more; empty while we cannot know."""
    mine = [decisions[part.package] for part in bump.parts if part.package in decisions]
    if any(decision.verdict is Verdict.UNKNOWN for decision in mine):
        return ""
    to = {part.package: part.to_version for part in bump.parts}
    other = next((one for one in mine if one.candidate != to[one.package]), None)
    if other is None:
        return "it is part of another bump now" if mine else "its packages are gone"
    return f"{other.candidate} is the choice now" if other.verdict is Verdict.TAKEN else other.said
