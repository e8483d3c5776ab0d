"""What a person orders, written into the ledger: each is a row before anything happens, with who and why.

These functions decide nothing about the sequence. They put an entry where the look finds it.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import wraps
from typing import ParamSpec, TypeVar

from watcher import rollouts
from watcher.bump import Bump
from watcher.entry import Entry
from watcher.errors import NotFound, Overtaken, Refused
from watcher.event import Event, Fact
from watcher.head import Head
from watcher.inventory import inventory
from watcher.known import Known
from watcher.ledger import Ledger
from watcher.lookup import Outcome
from watcher.pin import CONFIGURED, Pin
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

    def orders(self, what: str, app: str, subject: str, **more: Fact) -> Event:
        """The row of the audit that says so. It is written together with what the order changes."""
        facts = {"by": self.by, "why": self.why, **{name: fact for name, fact in more.items() if fact is not None}}
        return Event(at=self.now, kind=f"order.{what}", app=app, subject=subject, facts=facts)


P = ParamSpec("P")
T = TypeVar("T")
_TRIES = 4


def insistent(order: Callable[P, T]) -> Callable[P, T]:
    """The order, given anew if somebody else wrote while it was: a person does not have to say it twice."""

    @wraps(order)
    def insisted(*args: P.args, **more: P.kwargs) -> T:
        for _ in range(_TRIES - 1):
            with contextlib.suppress(Overtaken):
                return order(*args, **more)
        return order(*args, **more)

    return insisted


@insistent
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
        opened = replace(before, by=person.by, due_at=None)
    else:
        opened = replace(made, revision=before.revision) if before else made
    return ledger.write([(before, opened)], person.now, person.orders("bump", app, made.id))[0]


def _move(settings: Settings, ledger: Ledger, app: str, package: str, version: str) -> tuple[Pin, Release]:
    """The pin that is meant, and the release that is to take its place, as the pin's own index has it."""
    head = ledger.find(Head, app=app) or Head(app=app)
    pins = [one.pin for one in inventory(head, settings.apps[app]) if one.pin.source == "index"]
    mine = [pin for pin in pins if pin.package == package]
    if any(pin.source == CONFIGURED and pin.package == package for pin in head.pins):
        hint = 'with base = "file:base.Dockerfile" it is a pin of the repository, and moves as any other'
        raise NothingTo("bump", f"{package} is named in the configuration, and every build takes what it names", hint)
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
            known = [release.version for release in lookup.releases][-8:]
            raise NotFound(f"release of {package}", version, known, "`toplayer check` asks for those of today")
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


@insistent
def deploy(ledger: Ledger, app: str, held: bool, person: Person) -> Rollout:
    """A rollout of the branch's tip: the one that waits for this, or a new one. `held`: build it and stop there."""
    head = ledger.find(Head, app=app) or Head(app=app)
    if not head.commit:
        raise NothingTo("deploy", f"{app} has not been surveyed yet", "run `toplayer check` and see what it says")
    newest, cause = rollouts.newest(ledger, app), "build" if held else "deploy"
    changes: list[tuple[Rollout | None, Rollout]] = []
    if newest is not None and newest.commit == head.commit and newest.stage.is_open:
        changes.append((newest, replace(newest, held=held)))
    else:
        changes.append((None, rollouts.of_head(ledger, head, person.now, cause=cause, held=held)))
    return ledger.write(changes, person.now, person.orders(cause, app, app))[0]


@insistent
def rollback(ledger: Ledger, app: str, to: str, person: Person, *, urgent: bool = False) -> Rollout:
    """A rollout of an image that there was before. An `urgent` one waits for no hour, no soak and no approval.

    `to` is its digest, the beginning of it, or a rollout's id; without it, the last one that was done before the image
    that the fleet is at came there.
    """
    known = ledger.all(Rollout, app=app, order="-generation")
    running = rollouts.current(ledger, app)
    target = _named(known, app, to) if to else _before(known, running)
    if target is None:
        raise NothingTo("roll back", f"{app} has no earlier image", "`toplayer history` shows what there was")
    fresh = _anew(target, rollouts.next_generation(ledger, app), "rollback", person.now)
    fresh = replace(fresh, urgent=urgent, merged_at=None, released_at=None)
    changes: list[tuple[Rollout | None, Rollout]] = [(None, fresh)]
    if running is not None and running.stage is RolloutStage.DONE:
        said = f"rolled back by {person.by}{f': {person.why}' if person.why else ''}"
        changes.append((running, replace(running, stage=RolloutStage.ROLLED_BACK, reason=said)))
    return ledger.write(changes, person.now, person.orders("rollback", app, fresh.id, urgent=urgent or None))[0]


def _named(known: Sequence[Rollout], app: str, to: str) -> Rollout:
    """The last rollout of the image that a person named. `NotFound` if that is none, or more than one."""
    built = [one for one in known if one.image]
    found = [one for one in built if one.id == to or (one.image or "").removeprefix("sha256:").startswith(_hex(to))]
    if len({one.image for one in found}) != 1:
        raise NotFound(f"image of {app}", to, sorted({str(one.image) for one in built}))
    return found[0]


def _before(known: Sequence[Rollout], running: Rollout | None) -> Rollout | None:
    """The last rollout that was done before the image of `running` came, whichever way that came the last time.

    What was rolled back is not done, and what came after it neither counts: two rollbacks go two images back.
    """
    if running is None:
        return None
    first = next((one for one in known if one.image == running.image and one.cause != "rollback"), running)
    earlier = (one for one in known if one.generation < first.generation and one.image != running.image)
    return next((one for one in earlier if one.image and one.stage is RolloutStage.DONE), None)


@insistent
def abort(ledger: Ledger, app: str, person: Person) -> tuple[Rollout, Rollout]:
    """Stops the app's open rollout, and hosts that it touched go back: as it was, and as it is now.

    Of several it is the one that touches hosts, or would be the next to.
    """
    under_way = rollouts.unfinished(ledger, app)
    going = _first(under_way, RolloutStage.ROLLING, RolloutStage.BUILT, RolloutStage.WANTED)
    if going is None:
        raise NothingTo("abort", f"{app} has no rollout under way")
    said = f"aborted by {person.by}{f': {person.why}' if person.why else ''}"
    stopped = going.at(RolloutStage.HALTED, person.now, reason=said)
    last = rollouts.current(ledger, app)
    made_way = last is not None and last.stage is RolloutStage.SUPERSEDED
    if made_way and [one for one in under_way if one.image] == [going]:
        # For this one, and nobody comes after it: what that one left undone is this one's to take back.
        stopped = replace(stopped, rolling_at=person.now)
    return going, ledger.write([(going, stopped)], person.now, person.orders("abort", app, going.id))[0]


@insistent
def approve(ledger: Ledger, app: str, wave: int | None, person: Person) -> Rollout:
    """Approves the next wave of the app's rollout, or all up to `wave`. The approval is for its image only."""
    waiting = [one for one in rollouts.unfinished(ledger, app) if not one.held]
    going = _first(waiting, RolloutStage.ROLLING, RolloutStage.BUILT)
    upto = wave or (going.wave + 1 if going else 1)
    if going is None:
        raise NothingTo(
            "approve", f"{app} has no image on its way", "an approval is for one image, which has to be built"
        )
    if going.approved >= upto:
        raise NothingTo("approve", "it is approved already")
    approved = replace(going, approved=upto, reason="")
    ordered = person.orders("approve", app, going.id, wave=upto, image=going.image or "")
    return ledger.write([(going, approved)], person.now, ordered)[0]


def _first(going: Sequence[Rollout], *stages: RolloutStage) -> Rollout | None:
    """The first of these rollouts in the first of these stages in which there is one."""
    return next((one for stage in stages for one in going if one.stage is stage), None)


@insistent
def retry(ledger: Ledger, app: str, person: Person) -> Rollout:
    """Tries again at once what waits for its next attempt; if the app's rollout has ended, the same one once more.

    Hosts that run its image are left alone. A host never takes back a generation that was taken from it, so a rollout
    that has ended comes again as a new one.
    """
    newest = rollouts.newest(ledger, app)
    if newest is None:
        raise NothingTo("retry", f"{app} has no rollout")
    going = rollouts.going(ledger, app)
    hosts = [host for one in going for host in ledger.all(HostState, rollout=one.id)]
    failed = [h for h in hosts if h.rollout == newest.id and h.stage in (HostStage.RETURNED, HostStage.STUCK)]
    due: list[tuple[Entry | None, Entry]] = [(e, replace(e, due_at=None)) for e in (*going, *hosts) if e.due_at]
    if failed or not (newest.stage.is_open or newest.stage is RolloutStage.DONE):
        fresh = _anew(newest, rollouts.next_generation(ledger, app), "retry", person.now)
        ledger.write([(None, fresh), *due], person.now, person.orders("retry", app, fresh.id))
        return fresh
    if not due:
        raise NothingTo("retry", f"{newest.id} is {'under way' if newest.stage.is_open else 'done'}")
    ledger.write(due, person.now, person.orders("retry", app, newest.id))
    return ledger.find(Rollout, id=newest.id) or newest


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
        urgent=False,
        wave=0,
        approved=0,
        reason="",
        attempts=0,
        due_at=None,
        wanted_at=now,
        built_at=now if rollout.image else None,
        rolling_at=None,
        wave_at=None,
        done_at=None,
        revision=0,
    )


def _hex(text: str) -> str:
    return text.removeprefix("sha256:") or "-"
