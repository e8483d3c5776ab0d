"""What a person orders, written into the ledger: each is a row before anything happens, with who and why.

These functions decide nothing about the sequence. They put an entry where the look finds it.
"""

import contextlib
from dataclasses import dataclass, replace
from datetime import datetime

from watcher.bump import Bump
from watcher.entry import Entry
from watcher.errors import NotFound, Refused
from watcher.event import Event, Fact
from watcher.head import Head
from watcher.inventory import inventory
from watcher.known import Known
from watcher.ledger import Ledger
from watcher.lookup import Outcome
from watcher.pin import Pin
from watcher.release import Release
from watcher.rollout import HostStage, HostState, Rollout, RolloutStage
from watcher.settings import Settings
from watcher.versions import SCHEMES


class NothingTo(Refused):
    """The order makes no sense as things stand."""

    def __init__(self, verb: str, why: str, hint: str = "") -> None:
        self.verb, self.why, self.hint = verb, why, hint
        super().__init__(verb, why, hint)

    def __str__(self) -> str:
        return f"nothing to {self.verb}: {self.why}"


@dataclass(frozen=True, slots=True)
class Person:
    """Who orders, why, and when (UTC)."""

    by: str
    why: str
    now: datetime


def bump(settings: Settings, ledger: Ledger, app: str, package: str, version: str, person: Person) -> Bump:
    """A bump of `package` to `version` (empty: the newest that can take the pin's place), whatever cooldown and policy
    say.

    A bump of that version that had ended is opened again. `NotFound` for a package or version that is not there.
    """
    pin, release = _move(settings, ledger, app, package, version)
    made = Bump(
        id=Bump.id_of(app, package, release.version),
        app=app,
        ecosystem=pin.ecosystem,
        package=package,
        from_version=pin.version,
        to_version=release.version,
        found_at=person.now,
        released_at=release.released_at,
        why=f"asked for by {person.by}",
        by=person.by,
    )
    before = ledger.find(Bump, id=made.id)
    if before is not None and before.stage.is_open:
        # It was found already; now it is a person's, so no window and no cooldown keeps it.
        return ledger.replace(before, replace(before, by=person.by, due_at=None), person.now)
    opened = replace(made, revision=before.revision) if before else made
    (written,) = ledger.write([(before, opened)], person.now)
    _note(ledger, "order.bump", app, made.id, person)
    return written


def _move(settings: Settings, ledger: Ledger, app: str, package: str, version: str) -> tuple[Pin, Release]:
    """The pin that is meant, and the release that is to take its place, as the pin's own index has it."""
    head = ledger.find(Head, app=app) or Head(app=app)
    pins = [one.pin for one in inventory(head, settings.apps[app]) if one.pin.source == "index"]
    mine = [pin for pin in pins if pin.package == package]
    if not mine:
        raise NotFound(f"pin of {app} called", package, sorted({pin.package for pin in pins}))
    scheme, lookup, first = SCHEMES[mine[0].ecosystem], Known.read(settings, ledger).of(mine[0]), mine[0]
    if lookup.outcome is Outcome.UNKNOWN and not lookup.releases:
        raise NothingTo("bump", f"{package} cannot be looked up: {lookup.reason or 'its index has not been asked yet'}")
    if version:
        with contextlib.suppress(ValueError):
            version = scheme.normal(version)
        found = next((release for release in lookup.releases if release.version == version), None)
        if found is None:
            raise NotFound(f"release of {package}", version, [release.version for release in lookup.releases][-8:])
    else:
        lets_in = settings.apps[app].policy.of(package).lets_in
        good = [one for one in lookup.releases if one.yanked is None and not one.moved and lets_in(first, one.version)]
        found = max(good, key=lambda release: scheme.key(release.version), default=None)
    pin = next((pin for pin in mine if found and scheme.is_newer(found.version, pin.version)), None)
    if pin is None or found is None:
        if not version or version == first.version:
            raise NothingTo("bump", f"{app} already pins {package} {first.version}")
        raise NothingTo("bump", f"{app} pins {package} {first.version}, which is newer", "revert what brought it there")
    return pin, found


def deploy(ledger: Ledger, app: str, held: bool, person: Person) -> Rollout:
    """A rollout of the branch's tip: the one that waits for this, or a new one. `held`: build it and stop there."""
    head = ledger.find(Head, app=app) or Head(app=app)
    if not head.commit:
        raise NothingTo("deploy", f"{app} has not been surveyed yet", "run `toplayer check` and see what it says")
    rollouts = ledger.all(Rollout, app=app, order="-generation")
    newest = rollouts[0] if rollouts else None
    _note(ledger, "order.build" if held else "order.deploy", app, app, person)
    if newest is not None and newest.commit == head.commit and newest.stage.is_open:
        return newest if newest.held == held else ledger.replace(newest, replace(newest, held=held), person.now)
    generation = newest.generation + 1 if newest else 1
    fresh = Rollout(
        id=Rollout.id_of(app, generation),
        app=app,
        generation=generation,
        commit=head.commit,
        cause="build" if held else "deploy",
        held=held,
        wanted_at=person.now,
    )
    return ledger.write([(None, fresh)], person.now)[0]


def rollback(ledger: Ledger, app: str, to: str, person: Person) -> Rollout:
    """A rollout of an image that there was before.

    `to` is its digest, the beginning of it, or a rollout's id; without it, the last one that was done and is not what
    the newest rollout brought.
    """
    rollouts = ledger.all(Rollout, app=app, order="-generation")
    newest = next((rollout for rollout in rollouts if rollout.image), None)
    built = [r for r in rollouts if r.image and (to or (newest and r.image != newest.image))]
    if to:
        found = [r for r in built if r.id == to or (r.image or "").removeprefix("sha256:").startswith(_hex(to))]
        if len({r.image for r in found}) != 1:
            raise NotFound(f"image of {app}", to, sorted({str(r.image) for r in built}))
    else:
        found = [r for r in built if r.stage in (RolloutStage.DONE, RolloutStage.ROLLED_BACK)]
    if not found or newest is None:
        raise NothingTo("roll back", f"{app} has no earlier image", "`toplayer history` shows what there was")
    target, generation = found[0], rollouts[0].generation + 1
    fresh = _anew(target, generation, "rollback", person.now)
    changes: list[tuple[Rollout | None, Rollout]] = [(None, fresh)]
    if newest.stage is RolloutStage.DONE:
        said = f"rolled back by {person.by}{f': {person.why}' if person.why else ''}"
        changes.append((newest, replace(newest, stage=RolloutStage.ROLLED_BACK, reason=said)))
    written = ledger.write(changes, person.now)[0]
    _note(ledger, "order.rollback", app, fresh.id, person)
    return written


def abort(ledger: Ledger, app: str, person: Person) -> Rollout:
    """Stops the app's open rollout; hosts that it touched go back to what they ran."""
    rollouts = ledger.all(Rollout, app=app, order="-generation")
    going = next((rollout for rollout in rollouts if rollout.stage.is_open), None)
    if going is None:
        raise NothingTo("abort", f"{app} has no rollout under way")
    said = f"aborted by {person.by}{f': {person.why}' if person.why else ''}"
    _note(ledger, "order.abort", app, going.id, person)
    return ledger.replace(going, going.at(RolloutStage.HALTED, person.now, reason=said), person.now)


def approve(ledger: Ledger, app: str, wave: int | None, person: Person) -> Rollout:
    """Approves the next wave of the app's open rollout, or all up to `wave`. The approval is for this image only."""
    rollouts = ledger.all(Rollout, app=app, order="-generation")
    going = next((rollout for rollout in rollouts if rollout.stage.is_open and not rollout.held), None)
    upto = wave or (going.wave + 1 if going else 1)
    if going is None or going.approved >= upto:
        why = "it is approved already" if going else f"{app} has no rollout under way"
        raise NothingTo("approve", why)
    written = ledger.replace(
        going, replace(going, approved=upto, reason="" if going.image else going.reason), person.now
    )
    _note(ledger, "order.approve", app, going.id, person, wave=upto, image=going.image or "")
    return written


def retry(ledger: Ledger, app: str, person: Person) -> Rollout:
    """Tries again at once what waits for its next attempt; if the app's rollout has ended, the same one once more.

    Hosts that run its image are left alone. A host never takes back a generation that was taken from it, so a rollout
    that has ended comes again as a new one.
    """
    rollouts = ledger.all(Rollout, app=app, order="-generation")
    if not rollouts:
        raise NothingTo("retry", f"{app} has no rollout")
    newest = rollouts[0]
    hosts = ledger.all(HostState, rollout=newest.id)
    failed = [host for host in hosts if host.stage in (HostStage.RETURNED, HostStage.STUCK)]
    if newest.stage.is_open and not failed:
        now_due: list[tuple[Entry | None, Entry]] = [(e, replace(e, due_at=None)) for e in (newest, *hosts) if e.due_at]
        if not now_due:
            raise NothingTo("retry", f"{newest.id} is under way")
        ledger.write(now_due, person.now)
        _note(ledger, "order.retry", app, newest.id, person)
        return ledger.find(Rollout, id=newest.id) or newest
    if newest.stage is RolloutStage.DONE and not failed:
        raise NothingTo("retry", f"{newest.id} is done")
    fresh = _anew(newest, newest.generation + 1, "retry", person.now)
    written = ledger.write([(None, fresh)], person.now)[0]
    _note(ledger, "order.retry", app, fresh.id, person)
    return written


def cordon(ledger: Ledger, scope: str, person: Person) -> bool:
    """Leaves a host (its `host_scope`) out until it is uncordoned; what is under way on it is finished."""
    return ledger.hold(scope, person.by, person.why, person.now)


def uncordon(ledger: Ledger, scope: str, person: Person) -> bool:
    """Lets a host take part again: it goes straight to what its fleet is at."""
    return ledger.unhold(scope, person.by, person.why, person.now)


def _anew(rollout: Rollout, generation: int, cause: str, now: datetime) -> Rollout:
    """The same image (or, if it was not built, the same commit) on its way to the fleet once more."""
    return replace(
        rollout,
        id=Rollout.id_of(rollout.app, generation),
        generation=generation,
        cause=cause,
        stage=RolloutStage.BUILT if rollout.image else RolloutStage.WANTED,
        held=False,
        wave=0,
        approved=0,
        reason="",
        attempts=0,
        due_at=None,
        wanted_at=now,
        built_at=now if rollout.image else None,
        merged_at=None,
        released_at=None,
        rolling_at=None,
        wave_at=None,
        done_at=None,
        revision=0,
    )


def _hex(text: str) -> str:
    return text.removeprefix("sha256:") or "-"


def _note(ledger: Ledger, kind: str, app: str, subject: str, person: Person, **more: Fact) -> None:
    facts = {"by": person.by, "why": person.why, **more}
    ledger.note(Event(at=person.now, kind=kind, app=app, subject=subject, facts=facts))
