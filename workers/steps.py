"""Where the rooms are wired to the orders: each order's entry, when it is due, and the room that does it."""

import logging
from datetime import datetime
from pathlib import Path
from typing import Any

from watcher import decide, lockfiles
from watcher import tend as follows
from watcher.advisories import SOURCES
from watcher.bump import Bump, BumpStage, Part
from watcher.decision import Reason
from watcher.desk import Desk
from watcher.ecosystems import ECOSYSTEMS
from watcher.errors import ToplayerError
from watcher.gate import Arrival, Pass, arrivals, judge, pass_or_raise
from watcher.head import Head
from watcher.http import Http
from watcher.image import Digest, Platform
from watcher.known import Known, silenced
from watcher.layers.part import Terms
from watcher.layers.rates import rates
from watcher.ledger import Ledger
from watcher.lockfiles.diff import LockDiff
from watcher.lookup import IndexState, Lookup
from watcher.order import Order
from watcher.poll import ask, poll_index, poll_source
from watcher.proposal import Proposals
from watcher.receiver import Receiver
from watcher.release import Release
from watcher.rollout import HostState, Rollout, RolloutStage
from watcher.secret import Secret
from watcher.settings import AppSettings, IndexSettings, Settings
from watcher.wheels import Wheels
from workers.carry import Step, carry_out
from workers.composer import Composer
from workers.dockerfile import build as dockerfile
from workers.fleet.health import probe
from workers.fleet.host import Service
from workers.fleet.roll import step as roll_step
from workers.fleet.targets import connect
from workers.git import Repository
from workers.image.base import open_base
from workers.image.build import Recipe, build
from workers.image.parts import COMPONENT
from workers.image.wheelhouse import Wheelhouse
from workers.notify.post import LIMITS, poster
from workers.notify.tell import channel, tell
from workers.oci.manifest import Descriptor, Manifest
from workers.oci.stores import open_store
from workers.propose.facts import Layer
from workers.propose.forges import login_of, open_forge
from workers.propose.forges.errors import patiently
from workers.propose.move import Move
from workers.propose.propose import propose
from workers.propose.survey import survey
from workers.propose.teller import FromEverywhere
from workers.propose.tend import tend
from workers.propose.workshop import Workshop
from workers.scratch import scratch

log = logging.getLogger("toplayer")


def carry(order: Order, id: str, desk: Desk) -> bool:
    """Carries out an order, whichever it is."""
    return carry_out(order, id, desk, STEPS[order])


# --- survey ---------------------------------------------------------------------------------------------------------


def _survey_due(desk: Desk, head: Head, now: datetime) -> bool:
    bumps = desk.ledger.all(Bump, app=head.app, stage=[BumpStage.PROPOSED])
    return head.app in desk.settings.apps and decide.survey_due(
        head, bumps, desk.every(desk.settings.apps[head.app].survey, now), now
    )


def _survey(desk: Desk, head: Head) -> Head:
    app = desk.settings.apps[head.app]
    return survey(head, app, _repository(desk.settings, head.app), desk.clock())


# --- poll -----------------------------------------------------------------------------------------------------------


def _poll_due(desk: Desk, state: IndexState, now: datetime) -> bool:
    # Whether a package was never asked about is the look's question: it only sends the order sooner.
    known = state.index in desk.settings.indexes or state.index in desk.settings.advisories
    return known and state.is_due(now)


def _poll(desk: Desk, state: IndexState) -> IndexState:
    settings, ledger = desk.settings, desk.ledger
    with Http(settings.toplayer.contact) as http:
        if state.index in settings.advisories:
            asked = settings.advisories[state.index]
            return poll_source(state, settings, ledger, SOURCES[asked.kind](asked), http, desk.clock())
        index = settings.indexes[state.index]
        return poll_index(state, settings, ledger, ECOSYSTEMS[index.kind].index(index), http, desk.clock())


# --- propose --------------------------------------------------------------------------------------------------------


def _propose_due(desk: Desk, bump: Bump, now: datetime) -> bool:
    bumps = _open_bumps(desk, bump.app)
    app = desk.settings.apps.get(bump.app)
    head = desk.ledger.find(Head, app=bump.app)
    if app is None or head is None:
        return False
    return decide.next_bump(bumps, head, app.policy.of, desk.ledger.is_held(bump.app), now) == bump


def _propose(desk: Desk, bump: Bump) -> Bump:
    app = desk.settings.apps[bump.app]
    shop = Workshop.of(app, desk.settings.indexes.values(), _state(desk.settings))
    repository = _repository(desk.settings, bump.app)
    moves = [_move(desk.ledger, part, app) for part in bump.parts]
    teller = FromEverywhere(bump, desk.settings, desk.ledger, lambda: _layers(desk, bump.app))
    with patiently(), open_forge(app, desk.settings.toplayer.contact) as forge:
        return propose(
            bump, app, repository, moves, shop, lambda diff: _gate(desk, bump, diff), desk.clock, forge, teller
        )


def _gate(desk: Desk, bump: Bump, diff: LockDiff) -> None:
    """Lets through what a bump does to the lock, or raises the reason why not."""
    settings, ledger, found = desk.settings, desk.ledger, arrivals(diff)
    with Http(settings.toplayer.contact) as http:
        ask([one.pin for one in found], settings, ledger, http, desk.clock)
    known, put_aside, now = Known.read(settings, ledger), silenced(ledger.all(Bump, app=bump.app)), desk.clock()
    asked = frozenset(part.package for part in bump.parts)
    waived = Pass(asked=asked, fixes=bool(bump.advisories), by_hand=bool(bump.by))

    def judged(one: Arrival) -> Reason | None:
        lookup = known.of(one.pin)
        rules = known.rules(one.pin, lookup, bump.app, put_aside.get(one.pin.package, {}))
        return judge(one, lookup, rules, waived, now)

    pass_or_raise([(one, judged(one)) for one in found], now)


def _move(ledger: Ledger, part: Part, app: AppSettings) -> Move:
    """With the release as the index had it when it was last asked."""
    package, version = part.package, part.to_version
    lookups = ledger.all(Lookup, package=package)
    known = (release for lookup in lookups for release in lookup.releases if release.version == version)
    release = next(known, Release(package=package, version=version))
    return Move(package=package, version=version, release=release, requirement=app.policy.of(package).requirement)


def _layers(desk: Desk, name: str) -> tuple[Layer, ...]:
    """The layers of the newest image; none if that cannot be found out now."""
    app = desk.settings.apps[name]
    built = (rollout.image for rollout in desk.ledger.all(Rollout, app=name, order="-generation"))
    image = next((digest for digest in built if digest), None)
    if image is None:
        return ()
    try:
        store = open_store(app.image.repository, desk.settings.registries)
        raw = store.manifest(image)
        layers = Manifest.parse(raw, store.where).layers if raw else ()
    except ToplayerError as error:
        log.info("%s: the layers of %s are not known: %s", name, image.short, error)
        return ()
    return tuple(Layer(components=_components(layer), size=layer.size) for layer in layers)


def _components(layer: Descriptor) -> tuple[str, ...]:
    return tuple(word.partition("@")[0] for word in layer.annotations.get(COMPONENT, "").split())


# --- tend -----------------------------------------------------------------------------------------------------------


def _tend_due(desk: Desk, proposals: Proposals, now: datetime) -> bool:
    app, head = desk.settings.apps.get(proposals.app), desk.ledger.find(Head, app=proposals.app)
    if app is None or head is None or app.propose != "branch":
        return False
    return follows.due(proposals, head, _open_bumps(desk, proposals.app), desk.every(app.survey, now), now)


def _tend(desk: Desk, proposals: Proposals) -> Proposals:
    name, now = proposals.app, desk.clock()
    app, head = desk.settings.apps[name], desk.ledger.find(Head, app=name)
    assert head is not None
    bumps = _open_bumps(desk, name)
    # Nobody shall be pushed into an hour that is not for it, by a merge any more than by a branch.
    paused = desk.ledger.is_held(name)
    may = {bump.id for bump in bumps if not paused and decide.waits(bump, app.policy.of, now) is None}
    with open_forge(app, desk.settings.toplayer.contact) as forge:
        return tend(
            proposals,
            head,
            bumps,
            lambda id: desk.ledger.find(Bump, id=id),
            lambda bump: bump.id in may,
            app,
            _repository(desk.settings, name),
            forge,
            desk.clock,
        )


def _open_bumps(desk: Desk, app: str) -> tuple[Bump, ...]:
    return desk.ledger.all(Bump, app=app, stage=[BumpStage.FOUND, BumpStage.PROPOSED])


# --- build ----------------------------------------------------------------------------------------------------------


def _build_due(desk: Desk, rollout: Rollout, now: datetime) -> bool:
    newest = desk.ledger.all(Rollout, app=rollout.app, order="-generation", limit=1)[0]
    return decide.build_due(rollout, newest, desk.ledger.is_held(rollout.app), now)


def _build(desk: Desk, rollout: Rollout) -> Rollout:
    if desk.settings.apps[rollout.app].image.builder == "dockerfile":
        return _build_dockerfile(desk, rollout)
    settings, app = desk.settings, desk.settings.apps[rollout.app]
    repository = _repository(settings, rollout.app)
    index = next((one for one in settings.indexes.values() if one.kind == "pypi"), IndexSettings(kind="pypi"))
    base = open_base(app.image.base, Platform.parse(app.image.platform), settings.registries)
    store = open_store(app.image.repository, settings.registries)
    place = _state(settings) / "tmp"
    with scratch(place) as mine, Http(settings.toplayer.contact) as http:
        tree = mine / "tree"
        tree.mkdir()
        repository.export(rollout.commit, tree)
        pins = lockfiles.read_all(app.locks, lambda path: repository.read(rollout.commit, path))
        recipe = Recipe(
            image=app.image,
            locks=app.locks,
            pins=pins,
            tree=tree,
            commit=rollout.commit,
            committed_at=repository.show(rollout.commit).committed_at,
            source=repository.where,
            previous=_previous(desk.ledger, rollout),
            terms=Terms(payback=app.image.payback, classic=settings.fleets[app.fleet].classic),
            rates=rates(rollout.app, pins, settings, desk.ledger, desk.clock()),
        )
        wheelhouse = Wheelhouse(index, Wheels.of(app.image), http)
        composer = Composer(tuple(settings.indexes.values()), _state(settings) / "composer")
        built = build(recipe, base, store, wheelhouse, composer, scratch=place, now=desk.clock(), report=log.info)
    return rollout.at(RolloutStage.BUILT, desk.clock(), built=built)


def _build_dockerfile(desk: Desk, rollout: Rollout) -> Rollout:
    settings, app = desk.settings, desk.settings.apps[rollout.app]
    repository, place = _repository(settings, rollout.app), _state(settings) / "tmp"
    with scratch(place) as mine:
        tree = mine / "tree"
        tree.mkdir()
        repository.export(rollout.commit, tree)
        commit = repository.show(rollout.commit)
        recipe = dockerfile.Recipe(
            image=app.image,
            tree=tree,
            commit=rollout.commit,
            committed_at=commit.committed_at,
            source=repository.where,
            previous=_previous(desk.ledger, rollout),
            parents=commit.parents,
            changed=repository.changed,
        )
        store = open_store(app.image.repository, settings.registries)
        built = dockerfile.build(recipe, store, settings.registries, scratch=place, report=log.info)
    return rollout.at(RolloutStage.BUILT, desk.clock(), built=built)


def _previous(ledger: Ledger, rollout: Rollout) -> Digest | None:
    """The image that was built last: what most of the new one's layers are in."""
    before = ledger.all(Rollout, app=rollout.app, order="-generation")
    return next((other.image for other in before if other.image and other.generation < rollout.generation), None)


# --- roll -----------------------------------------------------------------------------------------------------------


def _host_state(desk: Desk, id: str) -> HostState | None:
    rollout, _, host = id.rpartition(":")
    return desk.ledger.find(HostState, rollout=rollout, host=host)


def _roll_due(desk: Desk, state: HostState, now: datetime) -> bool:
    rollout = desk.ledger.find(Rollout, id=state.rollout)
    app = desk.settings.apps.get(rollout.app) if rollout is not None else None
    if rollout is None or app is None:
        return False
    return decide.host_due(state, rollout, now, desk.settings.fleets[app.fleet].plan)


def _roll(desk: Desk, state: HostState) -> HostState:
    rollout = desk.ledger.find(Rollout, id=state.rollout)
    assert rollout is not None
    app = desk.settings.apps[rollout.app]
    host = next(h for h in desk.settings.fleets[app.fleet].hosts if h.name == state.host)
    store = open_store(app.image.repository, desk.settings.registries)
    with connect(host, store) as connection:
        service = service_of(desk.settings, rollout.app, app)
        return roll_step(state, rollout, connection, service, app.run.health.within, desk.clock)


def service_of(settings: Settings, name: str, app: AppSettings) -> Service:
    """What a host is to run, with its secrets filled in."""
    run, registry = app.run, settings.registries.get(app.image.repository.partition("/")[0])
    secrets = [value.reveal() for value in run.env.values() if isinstance(value, Secret)]
    return Service(
        name=name,
        repository=app.image.repository,
        command=run.command,
        env={key: value.reveal() if isinstance(value, Secret) else value for key, value in run.env.items()},
        secrets=tuple(secrets),
        volumes=run.volumes,
        ports=run.ports,
        network=run.network,
        puller=settings.fleets[app.fleet].puller,
        tmpfs=run.tmpfs,
        read_only=run.read_only,
        init=run.init,
        memory=run.memory,
        cpus=run.cpus,
        pids=run.pids,
        restart=run.restart,
        order=run.order,
        stop_signal=run.stop_signal,
        stop_grace=run.stop_grace,
        health_command=probe(run.health.http, app.image.interpreter) if run.health.http else run.health.command,
        health_timeout=run.health.timeout,
        steady=run.health.steady,
        username=registry.username if registry else "",
        password=registry.password.reveal() if registry and registry.password else "",
    )


# --- tell -----------------------------------------------------------------------------------------------------------


def _tell_due(desk: Desk, receiver: Receiver, now: datetime) -> bool:
    named = receiver.receiver in desk.settings.notify.names()
    return named and receiver.is_due(now) and receiver.cursor < desk.ledger.last_event()


def _tell(desk: Desk, receiver: Receiver) -> Receiver:
    to = channel(receiver.receiver, desk.settings.notify)
    events = desk.ledger.events(after=receiver.cursor, limit=to.batch)
    with Http(desk.settings.toplayer.contact, limits=LIMITS) as http:
        return tell(receiver, to, events, poster(http, receiver.receiver), desk.clock)


# --- shared ---------------------------------------------------------------------------------------------------------


STEPS: dict[Order, Step[Any]] = {
    Order.SURVEY: Step(lambda desk, id: desk.ledger.find(Head, app=id), _survey_due, _survey),
    Order.POLL: Step(lambda desk, id: desk.ledger.find(IndexState, index=id), _poll_due, _poll),
    Order.PROPOSE: Step(lambda desk, id: desk.ledger.find(Bump, id=id), _propose_due, _propose),
    Order.TEND: Step(lambda desk, id: desk.ledger.find(Proposals, app=id), _tend_due, _tend),
    Order.BUILD: Step(lambda desk, id: desk.ledger.find(Rollout, id=id), _build_due, _build),
    Order.ROLL: Step(_host_state, _roll_due, _roll),
    Order.TELL: Step(lambda desk, id: desk.ledger.find(Receiver, receiver=id), _tell_due, _tell),
}


def _repository(settings: Settings, app: str) -> Repository:
    return Repository.of(app, settings.apps[app], _state(settings), login_of(settings.apps[app]))


def _state(settings: Settings) -> Path:
    return Path(settings.toplayer.state)
