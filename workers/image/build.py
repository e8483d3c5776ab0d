"""A commit and its lock → an image in a repository.

What the image before it has, stays: a component whose key is unchanged is neither installed nor packed nor uploaded, on
a machine that has nothing but the lock as on any other. The same commit gives the same bytes, wherever and whenever it
is built; and building it twice uploads nothing.
"""

import errno
import shutil
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from watcher.image import DiffID, Digest
from watcher.layers.part import VENV, Terms
from watcher.lockfiles import format_of
from watcher.pin import Pin
from watcher.release import File
from watcher.rollout import Built
from watcher.settings import ImageSettings
from watcher.units import size
from watcher.wheels import Wheels
from workers.composer import Composer
from workers.image.base import Base
from workers.image.code import codes
from workers.image.component import Component, of_entries, package
from workers.image.config import image_config
from workers.image.content import chunks, size_of
from workers.image.entry import Entry
from workers.image.errors import BuildRefused
from workers.image.install import installed
from workers.image.layer import Layer, write_layer
from workers.image.needs import check
from workers.image.packing import Packing
from workers.image.parts import COMPONENT, KEY, Known, known, publish
from workers.image.plan import Group, arrange, groups, room, stack
from workers.image.vendor import Vendor
from workers.image.venv import venv
from workers.image.wheel import read_wheel
from workers.image.wheelhouse import Wheelhouse
from workers.oci.manifest import MAX_LAYERS, OCI_CONFIG, OCI_MANIFEST, Descriptor, Manifest, digest_of
from workers.oci.store import Store, copy_blob
from workers.scratch import scratch as throwaway

T = TypeVar("T")
R = TypeVar("R")
PYTHON, PHP = "pypi", "packagist"
AT_ONCE = 4
"""Layers that are made, or sent, at the same time. Each takes a few megabytes of memory, whatever its size."""

LOCK = "io.toplayer.lock"
"""A label: the digest of the lock that the image was made of."""
_TYPICAL = 200_000
"""Bytes of a wheel, for an index that does not tell."""

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What an image is made from: the files of `commit` in the directory `tree`, and the pins of its locks.

    `locks` are their paths, also of those in which nothing is pinned. `committed_at` (UTC) is the time of the image;
    `source` is where the commit comes from, for people. `previous` is the image that hosts run now, if there is one.
    `rates` say how often components change, per day and by their names (`pypi:django`, `code`); `terms` are those of
    the hosts.
    """

    image: ImageSettings
    pins: tuple[Pin, ...]
    locks: tuple[str, ...] = ()
    tree: Path
    commit: str
    committed_at: datetime
    source: str = ""
    previous: Digest | None = None
    rates: Mapping[str, float] = field(default_factory=dict)
    terms: Terms = field(default_factory=Terms)

    @property
    def tag(self) -> str:
        return f"commit-{self.commit[:12]}"


def build(
    recipe: Recipe,
    base: Base,
    store: Store,
    wheelhouse: Wheelhouse,
    composer: Composer = Composer(),  # noqa: B008 -- it is a frozen value
    *,
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
        return _Build(recipe, base, store, wheelhouse, composer, directory, report).run(began, now)


def applicable(pins: Sequence[Pin], target: Wheels) -> tuple[Pin, ...]:
    """The Python packages that are installed on the target. A `BuildRefused` names those that cannot be."""
    for pin in pins:
        if pin.ecosystem not in (PYTHON, PHP):
            raise BuildRefused(pin.lock, f"`{pin.package}` is a package of {pin.ecosystem}, which no builder knows yet")
    wanted = [pin for pin in pins if pin.ecosystem == PYTHON and target.wants(pin)]
    foreign = ", ".join(f"`{pin.package}` ({pin.source})" for pin in wanted if pin.source != "index")
    if foreign:
        hint = "publish them on an index, and pin a version"
        raise BuildRefused(wanted[0].lock, f"expected packages from an index, got {foreign}", hint)
    versions: dict[str, set[str]] = {}
    for pin in wanted:
        versions.setdefault(pin.package, set()).add(pin.version)
    twice = [f"`{name}` at {' and at '.join(sorted(found))}" for name, found in versions.items() if len(found) > 1]
    if twice:
        raise BuildRefused(wanted[0].lock, f"for {target} it pins {'; '.join(sorted(twice))}", "lock again")
    return tuple({pin.package: pin for pin in wanted}.values())


@dataclass(frozen=True, slots=True)
class _Made:
    """A layer that was made here; what the packages in it need, and the sizes, by their components' keys."""

    layer: Layer
    requires: Mapping[str, tuple[str, ...]]
    sizes: Mapping[str, int]


class _Build:
    """One build, in one throwaway directory."""

    def __init__(
        self,
        recipe: Recipe,
        base: Base,
        store: Store,
        wheelhouse: Wheelhouse,
        composer: Composer,
        directory: Path,
        report: Report,
    ) -> None:
        self._recipe, self._image, self._base, self._store = recipe, recipe.image, base, store
        self._wheelhouse, self._directory, self._report = wheelhouse, directory, report
        self._target = Wheels.of(recipe.image)
        self._pins = applicable(recipe.pins, self._target)
        locks = sorted({*recipe.locks, *(pin.lock for pin in recipe.pins)})
        self._vendors = {
            component: vendor
            for lock in locks
            if format_of(lock).ecosystem == PHP
            for vendor in [Vendor(recipe.tree, lock, self._image, composer, directory)]
            for component in vendor.components
        }
        kept_out = {
            *recipe.locks,
            *(pin.lock for pin in recipe.pins),
            *(vendor.place for vendor in self._vendors.values()),
        }
        self._entries = {
            **({VENV: list(venv(self._image))} if self._image.python else {}),
            **codes(recipe.tree, self._image, kept_out),
        }
        self._packages = {package(pin, self._image, wheelhouse.url): pin for pin in self._pins}
        entries = [of_entries(name, found) for name, found in self._entries.items()]
        self._components: Sequence[Component] = (*entries, *self._packages, *self._vendors)
        self._previous, again = known(store, recipe.previous) if recipe.previous else Known(), known(store, recipe.tag)
        self._known, self._is_again = self._previous | again, bool(again.stack)

    def run(self, began: float, now: datetime) -> Built:
        files = self._files([one for one in self._packages if one.key not in self._known.requires], now)
        groups = self._groups(files)
        missing = [group for group in groups if not self._has(group)]
        wanted = [one for group in missing for one in group.components if one in self._packages and one not in files]
        made = self._make(missing, {**files, **self._files(wanted, now)})
        requires = {**self._known.requires}
        sizes = {**self._known.sizes}
        for one in made.values():
            requires.update(one.requires)
            sizes.update(one.sizes)
        needs = {pin.package: requires[component.key] for component, pin in self._packages.items()}
        if self._pins:
            check(self._pins, needs, self._target)
        layers = [self._layer(group, made) for group in groups]
        pushed = self._send([one.layer for one in made.values()])
        kept = {component.key: requires[component.key] for component in self._packages}
        weights = {one.key: sizes[one.key] for one in self._components if one.key in sizes}
        manifest, sent = self._publish(layers, [group.name for group in groups], kept, weights)
        new = [layer for layer in manifest.layers if layer.digest not in self._previous.digests]
        return Built(
            image=manifest.digest,
            layers=len(manifest.layers),
            new_layers=len(new),
            size=manifest.size,
            new_size=sum(layer.size for layer in new),
            pushed=pushed + sent,
            seconds=time.monotonic() - began,
        )

    def _files(self, components: Sequence[Component], now: datetime) -> dict[Component, File]:
        """What the index has for these packages."""
        found = self._wheelhouse.best([self._packages[one] for one in components], now) if components else {}
        return {one: found[self._packages[one]] for one in components}

    def _groups(self, files: Mapping[Component, File]) -> tuple[Group, ...]:
        """The layers above the base, from the bottom up."""
        terms = room(self._recipe.terms, len(self._base.layers))
        if terms.most < 1:
            why = f"it has {len(self._base.layers)} layers, and an image can have {MAX_LAYERS}"
            raise BuildRefused(f"base {self._base.name}", why, "squash the base")
        before = stack(self._known.stack, self._components)
        # What is new has to be installed anyway, and then its size is no guess.
        new = [one for one in self._vendors if one.key not in self._known.sizes]
        for vendor in self._vendors.values():
            vendor.want(new)
        sizes = {one.name: self._size(one, files) for one in self._components}
        choice = arrange(self._components, sizes, self._recipe.rates, before, terms, again=self._is_again)
        self._report(f"{choice.kind}: {len(choice.stack)} layers, {size(choice.price.now)} to a host that has the last")
        return groups(choice.stack, self._components)

    def _size(self, component: Component, files: Mapping[Component, File]) -> int:
        """Bytes as they travel: those of its layer if there is one, of its wheel, or a guess."""
        if component.key in self._known.sizes:
            return self._known.sizes[component.key]
        if component in files:
            return files[component].size or _TYPICAL
        if component in self._vendors:
            return _weighed(self._vendors[component].entries(component))
        before = next((one.size for one in self._known.stack if one.names == (component.name,)), _TYPICAL)
        return before if component.name not in self._entries else _packed(self._entries[component.name])

    def _has(self, group: Group) -> bool:
        packages = [component for component in group.components if component in self._packages]
        return group.key in self._known.layers and all(one.key in self._known.requires for one in packages)

    def _make(self, groups: Sequence[Group], files: Mapping[Component, File]) -> dict[Group, _Made]:
        count = sum(one in self._packages for group in groups for one in group.components)
        for vendor in self._vendors.values():
            vendor.want({one for group in groups for one in group.components})
        self._report(f"{len(groups)} layers to make, {count} packages to install")

        def make(numbered: tuple[int, Group]) -> _Made:
            number, group = numbered
            place = self._directory / f"layer-{number}"
            place.mkdir()
            return self._made(group, files, place)

        return dict(zip(groups, _each(make, list(enumerate(groups))), strict=True))

    def _made(self, group: Group, files: Mapping[Component, File], place: Path) -> _Made:
        entries: list[Entry] = []
        requires: dict[str, tuple[str, ...]] = {}
        sizes: dict[str, int] = {}
        for component in group.components:
            pin = self._packages.get(component)
            if pin is None:
                vendor = self._vendors.get(component)
                own = vendor.entries(component) if vendor else self._entries[component.name]
                entries += own
                sizes[component.key] = _packed(own)
                continue
            wheel = read_wheel(self._wheelhouse.bring(pin, files[component], place), pin.package, pin.version)
            entries += installed(wheel, self._image)
            requires[component.key], sizes[component.key] = wheel.requires, wheel.size
        layer = write_layer(entries, self._directory / f"{place.name}.tar", Packing(self._image.packing))
        shutil.rmtree(place)
        self._report(f"{group.name}: {size(layer.size)}")
        if len(group.components) == 1:
            sizes[group.key] = layer.size
        return _Made(layer, requires, sizes)

    def _layer(self, group: Group, made: Mapping[Group, _Made]) -> tuple[Descriptor, DiffID]:
        if group in made:
            layer = made[group].layer
            return replace(layer.descriptor(), annotations={COMPONENT: group.name, KEY: group.key}), layer.diff_id
        return self._known.layers[group.key]

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

    def _publish(
        self,
        layers: Sequence[tuple[Descriptor, DiffID]],
        names: Sequence[str],
        requires: Mapping[str, tuple[str, ...]],
        sizes: Mapping[str, int],
    ) -> tuple[Manifest, int]:
        ids = [(name, diff_id) for name, (_, diff_id) in zip(names, layers, strict=True)]
        raw = image_config(self._image, self._base, ids, self._labels(), self._recipe.committed_at)
        config = Descriptor(media_type=OCI_CONFIG, digest=digest_of(raw), size=len(raw))
        manifest = Manifest.make(config, (*self._base.layers, *(layer for layer, _ in layers)), {})
        sent = publish(self._store, manifest, requires, sizes)
        if self._store.manifest(self._recipe.tag) == manifest.raw:
            self._report(f"{self._recipe.tag} is there already")
            return manifest, sent
        sent += self._store.put_blob(config.digest, raw)
        self._store.put_manifest(manifest.raw, OCI_MANIFEST, self._recipe.tag)
        return manifest, sent + len(manifest.raw)

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
        locks = sorted({*self._recipe.locks, *(pin.lock for pin in self._recipe.pins)})
        paths = [path for lock in locks if (path := self._recipe.tree / lock).is_file()]
        found = [digest_of(path.read_bytes()) for path in paths]
        return found[0] if len(found) == 1 else digest_of("\n".join(found).encode()) if found else ""


def _packed(entries: Iterable[Entry]) -> int:
    """About what files come to as they travel: code is packed to a third."""
    return sum(size_of(one.content) for one in entries if one.content is not None) // 3


def _weighed(entries: Iterable[Entry]) -> int:
    """What files come to as they travel, nearly to the byte: a tar adds little that does not pack away."""
    packer, total = zlib.compressobj(), 0
    for one in entries:
        for chunk in chunks(one.content) if one.content is not None else ():
            total += len(packer.compress(chunk))
    return total + len(packer.flush())


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
