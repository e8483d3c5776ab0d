"""Building and pushing the image of a rollout."""

import logging
from dataclasses import replace
from datetime import datetime

from watcher import decide, lockfiles, rollouts
from watcher.desk import Desk
from watcher.head import Head
from watcher.http import Http
from watcher.image import Digest, Platform
from watcher.layers.part import Terms
from watcher.layers.rates import rates
from watcher.ledger import Ledger
from watcher.look import would_be_blind
from watcher.lookup import Lookup
from watcher.machine import packings, share
from watcher.rollout import Built, Rollout, RolloutStage
from watcher.wheels import Wheels
from workers.carry import Step
from workers.composer import Composer
from workers.image.base import address_of, open_base, settled
from workers.image.build import build
from workers.image.code import used_by
from workers.image.recipe import Recipe
from workers.image.wheelhouse import Wheelhouse
from workers.oci.stores import open_store
from workers.scratch import scratch
from workers.several import build_each
from workers.steps.dockerfile import built as built_from_dockerfile
from workers.steps.machines import machines_of
from workers.steps.rooms import repository_of, state_of
from workers.steps.tools import checkout_of, tools_of

log = logging.getLogger("toplayer")


def _due(desk: Desk, rollout: Rollout, now: datetime) -> bool:
    newest = rollouts.newest(desk.ledger, rollout.app)
    head = desk.ledger.find(Head, app=rollout.app)
    if head is None or newest is None or rollout.app not in desk.settings.apps:
        return False
    due = decide.build_due(rollout, newest, desk.ledger.is_held(rollout.app), now)
    return due and not would_be_blind(head, desk)


def _do(desk: Desk, rollout: Rollout) -> Rollout:
    if desk.settings.apps[rollout.app].image.builder == "dockerfile":
        made = built_from_dockerfile(desk, rollout, _latest(desk.ledger, rollout))
        return rollout.at(RolloutStage.BUILT, desk.clock(), built=made)
    settings, app = desk.settings, desk.settings.apps[rollout.app]
    repository, place = repository_of(settings, rollout.app), state_of(settings) / "tmp"
    store, hosts = open_store(app.image.repository, settings.registries, scratch=place), machines_of(desk, app)
    address = address_of(app.image, lambda path: repository.read(rollout.commit, path))
    address, named = settled(address, settings.registries)
    with scratch(place) as mine, Http(settings.toplayer.contact) as http:
        tree = mine / "tree"
        tree.mkdir()
        pins = lockfiles.read_all(app.locks, lambda path: repository.read(rollout.commit, path))
        sources = lockfiles.elsewhere(app.locks, lambda path: repository.read(rollout.commit, path))
        repository.export(rollout.commit, tree, checkout_of(settings, app), used_by(app.locks, sources))
        recipe = Recipe(
            app=rollout.app,
            image=app.image,
            locks=app.locks,
            pins=pins,
            sources=sources,
            tree=tree,
            commit=rollout.commit,
            committed_at=repository.show(rollout.commit).committed_at,
            source=repository.where,
            previous=_running(desk.ledger, rollout),
            others=tuple(filter(None, (_latest(desk.ledger, rollout),))),
            terms=Terms(payback=app.image.payback, classic=share(hosts)),
            packings=packings(app.image.packing, hosts),
            rates=rates(rollout.app, pins, settings, desk.ledger, desk.clock()),
        )

        def looked(index: str, package: str) -> Lookup | None:
            return desk.ledger.find(Lookup, index=index, package=package)

        def build_one(part: Recipe) -> Built:
            return build(
                part,
                open_base(address, Platform.parse(part.image.platform), settings.registries, place),
                store,
                Wheelhouse(settings.indexes, Wheels.of(part.image), http, looked),
                Composer(tuple(settings.indexes.values()), state_of(settings) / "composer"),
                tools=tools_of(settings, app.model_copy(update={"image": part.image})),
                scratch=place,
                now=desk.clock(),
                report=log.info,
            )

        built = replace(build_each(recipe, store, build_one), base=named)
    return rollout.at(RolloutStage.BUILT, desk.clock(), built=built)


def _latest(ledger: Ledger, rollout: Rollout) -> Digest | None:
    """The image that was built last: what most of the new one's layers are in."""
    return next((other.image for other in _before(ledger, rollout)), None)


def _running(ledger: Ledger, rollout: Rollout) -> Digest | None:
    """The image that hosts run: the last one that all of them were to have; before there is any, the last one."""
    found = _before(ledger, rollout)
    done = (other.image for other in found if other.stage is RolloutStage.DONE)
    return next(done, None) or _latest(ledger, rollout)


def _before(ledger: Ledger, rollout: Rollout) -> list[Rollout]:
    """The app's rollouts before this one that have an image, newest first."""
    every = ledger.all(Rollout, app=rollout.app, order="-generation")
    return [other for other in every if other.image and other.generation < rollout.generation]


BUILD = Step(lambda desk, id: desk.ledger.find(Rollout, id=id), _due, _do)
