"""Bumping: the lock tool, the gate over everything that it moved, and the proposal."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from functools import partial

from watcher import decide
from watcher.bump import Bump, Part
from watcher.decision import Reason
from watcher.desk import Desk
from watcher.errors import ToplayerError, Unfit
from watcher.gate import Arrival, Pass, arrivals, judge, pass_or_raise
from watcher.head import Head
from watcher.http import Http
from watcher.image import Digest, Platform
from watcher.inert import inert
from watcher.known import Known
from watcher.lockfiles.diff import LockDiff
from watcher.past import Past, silenced
from watcher.pin import Pin
from watcher.poll import ask
from watcher.release import Release
from watcher.rollout import Rollout
from watcher.settings import AppSettings
from workers.carry import Step
from workers.image.parts import COMPONENT
from workers.indexes import open_index
from workers.oci.manifest import Descriptor
from workers.oci.store import find_manifest
from workers.oci.stores import open_store
from workers.propose.box import Box
from workers.propose.facts import Layer, Read
from workers.propose.forges import open_forge
from workers.propose.forges.rest import Patience
from workers.propose.move import Move
from workers.propose.propose import propose
from workers.propose.teller import FromEverywhere
from workers.propose.workshop import Workshop
from workers.steps.dockerfile import foresee
from workers.steps.rooms import open_bumps, repository_of, state_of

log = logging.getLogger("toplayer")


def _due(desk: Desk, bump: Bump, now: datetime) -> bool:
    bumps = open_bumps(desk, bump.app)
    app = desk.settings.apps.get(bump.app)
    head = desk.ledger.find(Head, app=bump.app)
    if app is None or head is None:
        return False
    paused, forge = desk.ledger.is_held(bump.app), app.forge is not None
    return decide.next_bump(bumps, head, app.policy.of, paused, now, forge=forge) == bump


def _do(desk: Desk, bump: Bump) -> Bump:
    try:
        return _proposed(desk, bump)
    except Unfit as error:
        known, head = Known.read(desk.settings, desk.ledger), desk.ledger.find(Head, app=bump.app)
        log.error("%s: %s", bump.name, inert(str(error)))
        return replace(bump.refused(desk.clock(), error), basis=known.ground(bump, head.everything if head else ()))


def _proposed(desk: Desk, bump: Bump) -> Bump:
    app = desk.settings.apps[bump.app]
    shop = Workshop.of(app, desk.settings.indexes.values(), state_of(desk.settings), _box(desk, bump.app))
    repository = repository_of(desk.settings, bump.app)
    known, head = Known.read(desk.settings, desk.ledger), desk.ledger.find(Head, app=bump.app)
    moves = [_move(known, head.everything if head else (), part, app) for part in bump.parts]
    foretold = partial(_foretold, desk, bump.app)
    teller = FromEverywhere(bump, desk.settings, desk.ledger, lambda: _layers(desk, bump.app), foretold)
    written = {one.commit for one in open_bumps(desk, bump.app)}
    patience = Patience(desk.ledger, desk.clock)
    with open_forge(app, desk.settings.toplayer.contact, patience) as forge:
        gate = partial(_gate, desk, bump)
        return propose(bump, app, repository, moves, shop, gate, desk.clock, forge, teller, written)


def _gate(desk: Desk, bump: Bump, diff: LockDiff) -> None:
    """Lets through what a bump does to the lock, or raises the reason why not."""
    settings, ledger, found = desk.settings, desk.ledger, arrivals(diff)
    with Http(settings.toplayer.contact) as http:
        ask([one.pin for one in found], settings, ledger, http, desk.clock, lambda name: open_index(name, settings))
    known, bumps, now = Known.read(settings, ledger), ledger.all(Bump, app=bump.app), desk.clock()
    past = Past(silenced(bumps))
    asked = frozenset(part.package for part in bump.parts)
    waived = Pass(asked=asked, fixes=bool(bump.advisories), by_hand=bool(bump.by))

    def judged(one: Arrival) -> Reason | None:
        lookup = known.of(one.pin)
        return judge(one, lookup, known.rules(one.pin, lookup, bump.app, past), waived, now)

    pass_or_raise([(one, judged(one)) for one in found], now)


def _move(known: Known, pins: Iterable[Pin], part: Part, app: AppSettings) -> Move:
    """With the release as the pin's own index had it when it was last asked."""
    package, version = part.package, part.to_version
    pin = next((pin for pin in pins if pin.package == package and pin.source == "index"), None)
    releases = known.of(pin).releases if pin is not None else ()
    bare = Release(package=package, version=version)
    return Move(
        package=package,
        version=version,
        release=next((release for release in releases if release.version == version), bare),
        requirement=app.policy.of(package).requirement,
        from_version=part.from_version,
    )


def _newest(desk: Desk, name: str) -> Digest | None:
    """The image that was built last, if there is one."""
    built = (rollout.image for rollout in desk.ledger.all(Rollout, app=name, order="-generation"))
    return next((digest for digest in built if digest), None)


def _box(desk: Desk, name: str) -> Box | None:
    """The newest image as a place for lock tools, where the settings want that and an engine can pull it."""
    app, image = desk.settings.apps[name], _newest(desk, name)
    tools, repository = app.lock_tools, app.image.repository
    if image is None or tools.place == "machine" or repository.startswith("oci:"):
        return None
    keys = desk.settings.registries.get(repository.partition("/")[0])
    login = {"username": keys.username, "password": keys.password.reveal()} if keys and keys.password else None
    return Box(f"{repository}@{image}", tools.engine, tools.place == "image", login)


def _layers(desk: Desk, name: str) -> tuple[Layer, ...]:
    """The layers of the newest image; none if that cannot be found out now, or if they tell nothing of what is in them.

    Those of a Dockerfile do not: what its next build makes anew depends on where the lockfile enters.
    """
    app, image = desk.settings.apps[name], _newest(desk, name)
    if image is None or app.image.builder != "layers":
        return ()
    try:
        store = open_store(app.image.repository, desk.settings.registries)
        manifest = find_manifest(store, image, Platform.parse(app.image.platform))
        layers = manifest.layers if manifest else ()
    except ToplayerError as error:
        log.info("%s: the layers of %s are not known: %s", name, image.short, error)
        return ()
    return tuple(Layer(components=_components(layer), size=layer.size) for layer in layers)


def _foretold(desk: Desk, name: str, read: Read) -> tuple[str, ...]:
    """What a build of the change makes anew, of an app with a Dockerfile; nothing if that cannot be found out now."""
    app = desk.settings.apps[name]
    if app.image.builder != "dockerfile":
        return ()
    try:
        files = {path: content for path in app.pinned_in if (content := read(path)) is not None}
        return tuple(foresee(name, desk.settings, desk.ledger, files).lines())
    except ToplayerError as error:
        log.info("%s: what a build makes anew is not known: %s", name, error)
        return ()


def _components(layer: Descriptor) -> tuple[str, ...]:
    return tuple(word.partition("@")[0] for word in layer.annotations.get(COMPONENT, "").split())


PROPOSE = Step(lambda desk, id: desk.ledger.find(Bump, id=id), _due, _do)
