"""A commit and its lock → an image in a repository.

What the image before it has, stays: a component whose key is unchanged is neither installed nor packed nor uploaded, on
a machine that has nothing but the lock as on any other. The same commit gives the same bytes, wherever and whenever it
is built; and building it twice uploads nothing.
"""

import errno
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from pathlib import Path

from watcher.image import Platform
from watcher.layers.part import Terms
from watcher.rollout import Built
from watcher.units import size
from workers.composer import Composer
from workers.image.base import Base
from workers.image.directories import Directories, directories
from workers.image.errors import BuildRefused
from workers.image.laying import Laying, Report
from workers.image.packing import Packing
from workers.image.parts import Known, known
from workers.image.publish import publish
from workers.image.recipe import Recipe
from workers.image.sending import Sending
from workers.image.supplies import Supplies, supplies_of
from workers.image.tools import Tools
from workers.image.wheelhouse import Wheelhouse
from workers.oci.manifest import Descriptor, Manifest
from workers.oci.store import BlobsMissing, Store
from workers.scratch import scratch as throwaway


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

    Raises `BuildRefused`, `ImageUnreadable`, and what stores, the index and uv raise. Before it returns, no image is to
    be seen in the repository; a build that was broken off or refused may leave blobs there, which the next one finds.
    """
    began = time.monotonic()
    with _disk(scratch), throwaway(scratch) as directory:
        supplies = supplies_of(recipe, base, wheelhouse, composer, tools, directory, now)
        platform = Platform.parse(recipe.image.platform)
        names = (*recipe.others, *filter(None, (recipe.previous,)), recipe.tag)
        earlier = [known(store, name, platform) for name in names]
        whose = directories(base, recipe.image, [one.directories for one in earlier])
        fitting = [one.on((tools.base or base).digest, whose) for one in earlier]
        again, hosts = fitting[-1], fitting[-2] if recipe.previous else Known()
        others = reduce(or_, (one.loose for one in fitting[: len(recipe.others)]), Known())
        found = (others | hosts | again).packed([Packing(name) for name in recipe.packings])
        one = _Image(recipe, base, store, supplies, whose, report)
        try:
            made = one.made(found, directory / "first", again=bool(again.stack))
        except BlobsMissing as error:
            # What hosts have is not lost, and most of it is the same when it is made again.
            report(f"{error}; what is missing is made again")
            made = one.made(found.within(store), directory / "second", again=False)
    manifest, pushed, warning = made
    new = _new(manifest, base, hosts, recipe.terms)
    return Built(
        image=manifest.digest,
        layers=len(manifest.layers),
        new_layers=len(new),
        size=manifest.size,
        new_size=sum(layer.size for layer in new),
        pushed=pushed,
        seconds=time.monotonic() - began,
        warning=warning,
    )


def _new(manifest: Manifest, base: Base, hosts: Known, terms: Terms) -> list[Descriptor]:
    """The layers that a host has to download which runs the image before: on another base, of a classic one, all."""
    pairs = enumerate(zip(base.digests, hosts.base, strict=False))
    same = next((n for n, (new, old) in pairs if new != old), min(len(base.digests), len(hosts.base)))
    moved = bool(hosts.stack) and terms.classic > 0 and base.digests != hosts.base
    layers = enumerate(manifest.layers)
    return [layer for n, layer in layers if layer.digest not in hosts.digests or (moved and n >= same)]


@dataclass(frozen=True, slots=True)
class _Image:
    """One image, as often as it takes."""

    recipe: Recipe
    base: Base
    store: Store
    supplies: Supplies
    directories: Directories
    report: Report

    def made(self, known: Known, directory: Path, *, again: bool) -> tuple[Manifest, int, str]:
        """Its manifest, the bytes that travelled, and what a person should know of it."""
        directory.mkdir()
        laying = Laying(
            self.recipe, self.base, self.store, self.supplies, known, self.directories, directory, self.report
        )
        with Sending(self.store, directory) as sending:
            for layer in self.base.layers:
                # The base is part of every image of the repository: it is asked for if there is none to start from.
                if layer.digest not in known.digests and self.base.store:
                    sending.copy(layer, self.base.store)
            laid = laying.lay(sending, again=again)
            pushed = sending.wait()
        manifest, sent = publish(self.recipe, self.base, self.store, laid, laying.components)
        self.report(f"{size(pushed + sent)} sent to {self.store.where}")
        return manifest, pushed + sent, laid.warning


@contextmanager
def _disk(scratch: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "free some space and try again; nothing was published" if full else ""
        raise BuildRefused(str(error.filename or scratch), error.strerror or str(error), hint) from error
