"""A commit and its lock → an image in a repository.

What the image before it has, stays: a component whose key is unchanged is neither installed nor packed nor uploaded, on
a machine that has nothing but the lock as on any other. The same commit gives the same bytes, wherever and whenever it
is built; and building it twice uploads nothing.
"""

import errno
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from watcher.image import DiffID
from watcher.layers.choice import worth_patching
from watcher.layers.part import MOST_LAYERS, VENV, Stack
from watcher.lockfiles import format_of
from watcher.pin import Pin
from watcher.rollout import Built
from watcher.units import size
from watcher.wheels import Wheels
from workers.composer import Composer
from workers.image.base import Base
from workers.image.bytecode import Compiled, Compiler
from workers.image.code import codes
from workers.image.component import Component
from workers.image.config import image_config
from workers.image.elsewhere import Elsewhere
from workers.image.entry import Entry
from workers.image.errors import BuildRefused
from workers.image.files import Files
from workers.image.layer import Layer, write_layer
from workers.image.notes import Notes
from workers.image.packages import PHP, Packages, check_needs, once
from workers.image.packing import Packing
from workers.image.papers import Subject, papers
from workers.image.parts import COMPONENT, KEY, SINCE, STEPS, Known, known, publish
from workers.image.patches import churned, patch_of
from workers.image.plan import Group, arrange, groups, parts, room, stack, stays
from workers.image.recipe import Recipe
from workers.image.sandbox import Sandbox
from workers.image.shared import Shared, shared
from workers.image.supply import Own, Supply
from workers.image.tools import Tools
from workers.image.vendor import Vendor
from workers.image.venv import venv
from workers.image.wheelhouse import Wheelhouse
from workers.image.workshop import Workshop
from workers.oci.manifest import OCI_CONFIG, OCI_MANIFEST, Descriptor, Manifest, digest_of
from workers.oci.store import Store, attach, copy_blob
from workers.scratch import scratch as throwaway

T = TypeVar("T")
R = TypeVar("R")
AT_ONCE = 4
"""Layers that are made, or sent, at the same time. Each takes a few megabytes of memory, whatever its size."""

LOCK = "io.toplayer.lock"
"""A label: the digest of the lock that the image was made of."""
Report = Callable[[str], None]


def build(
    recipe: Recipe,
    base: Base,
    store: Store,
    wheelhouse: Wheelhouse,
    composer: Composer = Composer(),  # noqa: B008 -- it is a frozen value
    *,
    tools: Tools = Tools(),  # noqa: B008 -- it is a frozen value
    scratch: Path,
    now: datetime,
    report: Report = lambda _: None,
) -> Built:
    """Builds the image and publishes it under the tag of its commit. `scratch` is only for throwaway directories.

    Raises `BuildRefused`, `ImageUnreadable`, and what stores, the index and uv raise. Before it returns, nothing can be
    seen in the repository; a build that was broken off is taken up by the next one.
    """
    began = time.monotonic()
    with _disk(scratch), throwaway(scratch) as directory:
        settings = recipe.image.sandbox
        sandbox = Sandbox(settings, tools.base or base, directory) if settings else None
        workshop = Workshop(recipe.image, wheelhouse, sandbox, tools.resolve, tools.cache)
        packages = Packages(recipe.pins, recipe.sources, workshop, now)
        vendors = [
            Vendor(recipe.tree, lock, recipe.image, composer, directory, sandbox)
            for lock in recipe.every_lock
            if format_of(lock).ecosystem == PHP
        ]
        own = Own(_own(recipe, [vendor.place for vendor in vendors]))
        code = own.paths(recipe.image.code)
        elsewhere = Elsewhere(recipe.sources, recipe.tree, code, base, workshop, tools.checkout, now)
        supplies: list[Supply] = [own, packages, elsewhere]
        pins = once({**packages.pins, **elsewhere.pins})
        if recipe.image.bytecode and recipe.image.python:
            compiler = Compiler(recipe.image, directory)
            compiled = [Compiled(one, compiler) for one in supplies]
            supplies, pins = [*compiled], {compiled[0].of(one): pin for one, pin in pins.items()}
        supplies += vendors
        return _Build(recipe, base, store, supplies, pins, directory, report).run(began)


def _own(recipe: Recipe, vendors: Sequence[str]) -> dict[str, list[Entry]]:
    """What an image has besides packages, by component."""
    environment = {VENV: list(venv(recipe.image))} if recipe.image.python else {}
    return {**environment, **codes(recipe.tree, recipe.image, (*recipe.every_lock, *vendors))}


class _Build:
    """One build, in one throwaway directory."""

    def __init__(
        self,
        recipe: Recipe,
        base: Base,
        store: Store,
        supplies: Sequence[Supply],
        pins: Mapping[Component, Pin],
        directory: Path,
        report: Report,
    ) -> None:
        self._recipe, self._image, self._base, self._store = recipe, recipe.image, base, store
        self._pins, self._directory, self._report = pins, directory, report
        self._previous, again = known(store, recipe.previous) if recipe.previous else Known(), known(store, recipe.tag)
        packings = [Packing(name) for name in recipe.packings]
        self._known, self._is_again = (self._previous | again).packed(packings), bool(again.stack)
        self._files, self._packing = Files(supplies, self._known, directory), packings[0]
        self._components = self._files.components

    def run(self, began: float) -> Built:
        self._files.expect([one for one in self._components if not self._files.is_known(one)])
        laid, patches = self._groups()
        missing = [group for group in laid if group not in patches and not self._has(group)]
        self._files.expect([one for group in missing for one in group.components])
        made = {**patches, **self._make(missing)}
        told = ""
        if settled := shared(tuple(self._pins), self._files):
            told = self._settle(settled, made)
            laid = (*laid, _group(settled))
        notes = Notes.of(laid, self._components, self._files.facts, self._churn)
        check_needs(self._pins, {key: one.requires for key, one in notes.facts.items()}, Wheels.of(self._image))
        layers = [self._layer(group, made) for group in laid]
        pushed = self._send(list(made.values()))
        manifest, sent = self._publish(layers, notes)
        sent += self._tell(manifest)
        new = [layer for layer in manifest.layers if layer.digest not in self._previous.digests]
        return Built(
            image=manifest.digest,
            layers=len(manifest.layers),
            new_layers=len(new),
            size=manifest.size,
            new_size=sum(layer.size for layer in new),
            pushed=pushed + sent,
            seconds=time.monotonic() - began,
            warning=told,
        )

    def _groups(self) -> tuple[tuple[Group, ...], dict[Group, Layer]]:
        """The layers above the base, from the bottom up, and the patches among them, which had to be made for that."""
        terms = room(self._recipe.terms, len(self._base.layers))
        if terms.most < 1:
            why = f"it has {len(self._base.layers)} of the {MOST_LAYERS} layers of an image, and we need two more"
            raise BuildRefused(f"base {self._base.name}", why, "squash the base")
        before = stack(self._known.stack, self._components)
        sizes = {one.name: self._files.size(one) for one in self._components}
        planned = parts(self._components, sizes, self._recipe.rates, self._known.churn)
        again = self._is_again and stays(before, planned, terms)
        patches = {} if again else self._patches(before, worth_patching(before, planned, terms))
        self._churn = {**self._known.churn, **dict(churned(before, patches, sizes, self._known.churn))}
        planned = parts(self._components, sizes, self._recipe.rates, self._churn)
        weights = {name: layer.size for name, layer in patches.items()}
        choice = arrange(planned, before, terms, weights, again=again)
        self._report(f"{choice.kind}: {len(choice.stack)} layers, {size(choice.price.now)} to a host that has the last")
        laid = groups(choice.stack, self._components)
        return laid, {one: patches[one.components[0].name] for one in laid if one.since and not self._has(one)}

    def _has(self, group: Group) -> bool:
        return group.key in self._known.layers and all(map(self._files.is_known, group.components))

    def _patches(self, before: Stack, names: Sequence[str]) -> dict[str, Layer]:
        """Patches of these components, as far as they can be made."""
        if not names:
            return {}
        # Whether they get into the way of others is to be known, and what is new is needed here in any case.
        _each(self._files.of, [one for one in self._components if not self._files.is_known(one)])

        def make(numbered: tuple[int, str]) -> Layer | None:
            number, name = numbered
            patch = patch_of(name, before, self._files, self._known, self._store)
            return write_layer(patch, self._directory / f"patch-{number}.tar", self._packing) if patch else None

        made = zip(names, _each(make, list(enumerate(names))), strict=True)
        return {name: layer for name, layer in made if layer is not None}

    def _make(self, groups: Sequence[Group]) -> dict[Group, Layer]:
        count = sum(one in self._pins for group in groups for one in group.components)
        self._report(f"{len(groups)} layers to make, {count} packages to install")

        def make(numbered: tuple[int, Group]) -> Layer:
            number, group = numbered
            entries = [entry for component in group.components for entry in self._files.of(component)]
            layer = write_layer(entries, self._directory / f"layer-{number}.tar", self._packing)
            for component in group.components:
                self._files.drop(component)
            self._report(f"{group.name}: {size(layer.size)}")
            if len(group.components) == 1:
                self._files.weigh(group.components[0], layer.size)
            return layer

        return dict(zip(groups, _each(make, list(enumerate(groups))), strict=True))

    def _settle(self, settled: Shared, made: dict[Group, Layer]) -> str:
        """Makes the layer of what counts of the files that several packages have; what is new of it, in words."""
        if settled.component.key in self._known.layers:
            return ""
        for line in settled.said:
            self._report(line)
        path = self._directory / "shared.tar"
        made[_group(settled)] = write_layer(settled.entries(self._files), path, self._packing)
        return "; ".join(settled.said)

    def _layer(self, group: Group, made: Mapping[Group, Layer]) -> tuple[Descriptor, DiffID]:
        if group not in made:
            return self._known.layers[group.key]
        layer, told = made[group], {COMPONENT: group.name, KEY: group.key}
        patch = {SINCE: group.since, STEPS: str(group.steps)} if group.since else {}
        return replace(layer.descriptor(), annotations=told | patch), layer.diff_id

    def _send(self, layers: Sequence[Layer]) -> int:
        """Uploads what the repository lacks: of the base, and of what was made; the bytes that travelled."""

        def copy(blob: Descriptor) -> int:
            assert self._base.store
            return copy_blob(blob, self._base.store, self._store)

        def put(layer: Layer) -> int:
            return self._store.put_blob(layer.digest, layer.path)

        # The base is part of every image of the repository: it is asked for only when there is none to start from.
        missing = [layer for layer in self._base.layers if layer.digest not in self._known.digests]
        sent = sum(_each(copy, missing)) + sum(_each(put, layers))
        self._report(f"{size(sent)} sent to {self._store.where}")
        return sent

    def _publish(self, layers: Sequence[tuple[Descriptor, DiffID]], notes: Notes) -> tuple[Manifest, int]:
        ids = [(_story(layer), diff_id) for layer, diff_id in layers]
        raw = image_config(self._image, self._base, ids, self._labels(), self._recipe.committed_at)
        config = Descriptor(media_type=OCI_CONFIG, digest=digest_of(raw), size=len(raw))
        manifest = Manifest.make(config, (*self._base.layers, *(layer for layer, _ in layers)), {})
        sent = publish(self._store, manifest, notes)
        if self._store.manifest(self._recipe.tag) == manifest.raw:
            self._report(f"{self._recipe.tag} is there already")
            return manifest, sent
        sent += self._store.put_blob(config.digest, raw)
        self._store.put_manifest(manifest.raw, OCI_MANIFEST, self._recipe.tag)
        return manifest, sent + len(manifest.raw)

    def _tell(self, manifest: Manifest) -> int:
        """Puts beside the image what it consists of and how it came to be; the bytes that travelled."""
        names = [(layer, layer.annotations.get(COMPONENT, "").split()) for layer in manifest.layers]
        # A patch comes later, and is where the component is.
        layers = {word.partition("@")[0]: layer.digest for layer, words in names for word in words}
        subject = Subject(self._image.repository, manifest.digest, layers)
        told = papers(self._recipe, self._base, self._components, subject)
        return sum(attach(self._store, manifest, one) for one in told)

    def _labels(self) -> dict[str, str]:
        found = {
            "org.opencontainers.image.created": self._recipe.committed_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "org.opencontainers.image.revision": self._recipe.commit,
            "org.opencontainers.image.source": self._recipe.source,
            LOCK: self._lock_digest(),
            "org.opencontainers.image.base.name": self._base.name if self._base.digest else "",
            "org.opencontainers.image.base.digest": self._base.digest or "",
        }
        return {name: text for name, text in found.items() if text}

    def _lock_digest(self) -> str:
        """Of the only lock its bytes' digest, of several that of their digests, by path."""
        paths = [path for lock in self._recipe.every_lock if (path := self._recipe.tree / lock).is_file()]
        found = [digest_of(path.read_bytes()) for path in paths]
        return found[0] if len(found) == 1 else digest_of("\n".join(found).encode()) if found else ""


def _group(settled: Shared) -> Group:
    key = settled.component.key
    return Group((settled.component,), key, (key,))


def _story(layer: Descriptor) -> str:
    """What people read of a layer in an image's history."""
    patch = "patch of " if SINCE in layer.annotations else ""
    return patch + layer.annotations[COMPONENT]


def _each(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """`work` of each item, several at once, in the order of the items. The first failure ends what has not begun."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="build") as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def _disk(scratch: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "free some space and try again; nothing was published" if full else ""
        raise BuildRefused(str(error.filename or scratch), error.strerror or str(error), hint) from error
