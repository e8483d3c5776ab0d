"""Building from a Dockerfile, and what would come of it."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from watcher.desk import Desk
from watcher.dockerfile.foresight import Foresight
from watcher.dockerfile.settings import DockerfileSettings
from watcher.errors import NotFound, ToplayerError
from watcher.head import Head
from watcher.image import Digest, Platform
from watcher.ledger import Ledger
from watcher.machine import Machine, machines, share
from watcher.rollout import Built, Rollout
from watcher.settings import Settings
from workers.dockerfile.build import build
from workers.dockerfile.context import level, place, uses
from workers.dockerfile.draft import Builder, Draft, drafts
from workers.dockerfile.engine import Engine
from workers.dockerfile.errors import BuildCutOff, BuildGivenUp, BuildTimedOut
from workers.dockerfile.recipe import Recipe
from workers.oci.stores import open_store
from workers.scratch import scratch
from workers.steps.machines import machines_of
from workers.steps.rooms import repository_of, state_of
from workers.steps.tools import checkout_of

log = logging.getLogger("toplayer")
_TRIES = 3
"""Builds in a row that may take too long, or miss something far away, before a person is asked."""


def built(desk: Desk, rollout: Rollout, previous: Digest | None) -> Built:
    """What was made of a rollout's commit; `previous` is the image that was built last. Raises what `build` does, and
    `BuildGivenUp`."""
    settings, app = desk.settings, desk.settings.apps[rollout.app]
    place, store = state_of(settings) / "tmp", open_store(app.image.repository, settings.registries)
    with scratch(place) as mine:
        classic = share(machines_of(desk, app))
        recipe = _recipe(settings, rollout.app, rollout.commit, mine, previous, classic)
        try:
            return build(recipe, store, settings.registries, scratch=place, report=log.info)
        except (BuildTimedOut, BuildCutOff) as error:
            if rollout.attempts + 1 < _TRIES:
                raise
            raise BuildGivenUp(rollout.attempts + 1, str(error), error.hint) from error


def foresee(name: str, settings: Settings, ledger: Ledger, files: Mapping[str, bytes] | None = None) -> Foresight:
    """What a build of the app's head would make anew, if its `files` (by path) were these, on top of the newest image.

    Raises what git, registries and a Dockerfile can be wrong with. An engine that is away says nothing about images
    that only it has, and is taken to be of the image's own platform, the first of several.
    """
    app, head = settings.apps[name], ledger.find(Head, app=name)
    if head is None or not head.commit:
        raise NotFound("commit", name)
    rollouts = ledger.all(Rollout, app=name, order="-generation")
    previous = next((one.image for one in rollouts if one.image), None)
    fleet = machines(app.fleet, settings.fleets[app.fleet], ledger.all(Machine, fleet=app.fleet))
    with scratch(state_of(settings) / "tmp") as mine:
        recipe = _recipe(settings, name, head.commit, mine, previous, share(fleet), files or {})
        (mine / "docker").mkdir(mode=0o700)
        store = open_store(app.image.repository, settings.registries)
        found = drafts(recipe, store, settings.registries, _builder(recipe, mine / "docker"))
    first, *others = [_foresight(one, previous) for one in found.values()]
    return replace(first, others=tuple(others))


def _foresight(found: Draft, previous: Digest | None) -> Foresight:
    """Of one platform. The image that it starts from goes by what the ledger calls it, for all of them the same."""
    image = previous if found.name == previous else found.before and found.before.manifest.digest
    return Foresight(
        commit=found.recipe.commit,
        image=image or "" if found.starts else "",
        prediction=found.prediction,
        classic=found.recipe.classic,
        platform=found.recipe.image.platform,
    )


def _recipe(
    settings: Settings,
    name: str,
    commit: str,
    directory: Path,
    previous: Digest | None,
    classic: float,
    files: Mapping[str, bytes] | None = None,
) -> Recipe:
    """The recipe of an app's commit, whose files come to lie in `tree` below a throwaway directory; `files` are laid
    over them."""
    repository, tree = repository_of(settings, name), directory / "tree"
    tree.mkdir()
    image = settings.apps[name].image
    how = image.dockerfile or DockerfileSettings()
    repository.export(commit, tree, checkout_of(settings, settings.apps[name]), lambda root: uses(root, how))
    level(tree)
    moved = set()
    for path, content in (files or {}).items():
        if (here := place(tree, path)).is_file() and here.read_bytes() != content:
            here.write_bytes(content)
            moved.add(path)
    shown = repository.show(commit)

    def changed(before: str, after: str) -> tuple[str, ...] | None:
        found = repository.changed(before, after)
        return None if found is None else tuple(sorted({*found, *moved}))

    return Recipe(
        image=image,
        tree=tree,
        commit=commit,
        committed_at=shown.committed_at,
        source=repository.where,
        previous=previous,
        parents=shown.parents,
        changed=changed,
        classic=classic,
    )


def _builder(recipe: Recipe, directory: Path) -> Builder:
    try:
        engine = Engine(recipe.settings, directory)
    except ToplayerError as error:
        log.info("the engine that builds does not say what it is: %s", error)
        return Builder(Platform.parse(recipe.image.platform))
    return Builder(engine.platform, engine.is_containerd, engine.image)
