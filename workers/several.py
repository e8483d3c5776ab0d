"""An image for several platforms: one for each, and an index of them, which is what hosts are told to pull.

Whoever builds, of layers or by an engine, says how one of them is made. The index is written when all of them are
there, so that nothing half-made stands under its tag.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, Self, TypeVar

from watcher.image import Digest, Platform
from watcher.platforms import together
from watcher.rollout import Built
from watcher.settings import ImageSettings
from workers.oci.manifest import OCI_INDEX, OCI_KEYS, OCI_MANIFEST, Descriptor, Manifest, canonical
from workers.oci.store import Store, StoreRefused


class Recipe(Protocol):
    """What an image is made from, whoever makes it; `tag` is its name in the repository."""

    @property
    def image(self) -> ImageSettings: ...

    @property
    def tag(self) -> str: ...

    def on(self, platform: str, made: Sequence[Digest]) -> Self:
        """The same for one of its platforms. `made` are the images for those before it: some of it may be theirs."""
        ...


R = TypeVar("R", bound=Recipe)


def build_each(recipe: R, store: Store, build: Callable[[R], Built]) -> Built:
    """Builds the image for each of its platforms. For one, it is what `build` makes; for more, there is an index.

    An index costs hosts a few hundred bytes: each pulls the one for its own platform. What is told of sizes is that of
    the platform for which most is new; what is told in words is that of all, and says of which.
    """
    platforms = recipe.image.every_platform
    if len(platforms) == 1:
        return build(recipe.on(platforms[0], ()))
    began, made = time.monotonic(), dict[str, Built]()
    for platform in platforms:
        made[platform] = build(recipe.on(platform, [one.image for one in made.values()]))
    every = list(made.values())
    index = _index({platform: one.image for platform, one in made.items()}, store)
    is_new = store.manifest(recipe.tag) != index
    digest = store.put_manifest(index, OCI_INDEX, recipe.tag)
    most = max(every, key=lambda one: one.new_size)
    warnings = {platform: [one.warning] if one.warning else [] for platform, one in made.items()}
    return replace(
        most,
        image=digest,
        size=max(one.size for one in every) + len(index),
        pushed=sum(one.pushed for one in every) + (len(index) if is_new else 0),
        seconds=time.monotonic() - began,
        told=together({platform: one.told for platform, one in made.items()}),
        warning="; ".join(together(warnings)),
        timings=_added(one.timings for one in every),
    )


def _added(timings: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The seconds of commands by their texts: what is run for each platform takes its time for each."""
    total: dict[str, float] = {}
    for one in timings:
        for text, seconds in one.items():
            total[text] = total.get(text, 0.0) + seconds
    return total


def _index(images: Mapping[str, Digest], store: Store) -> bytes:
    manifests = {platform: _manifest(image, store) for platform, image in images.items()}
    rows = [
        Descriptor(media_type=OCI_MANIFEST, digest=one.digest, size=len(one.raw), platform=Platform.parse(platform))
        for platform, one in manifests.items()
    ]
    # What is said of all of them; each stands on a base of its own.
    first = next(iter(manifests.values())).annotations
    said = {name: text for name, text in first.items() if not name.startswith(f"{OCI_KEYS}base.")}
    table = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [row.json() for row in rows], "annotations": said}
    return canonical(table)


def _manifest(image: Digest, store: Store) -> Manifest:
    raw = store.manifest(image)
    if raw is None:
        raise StoreRefused(store.where, f"{image} was there a moment ago, and is not any more")
    return Manifest.parse(raw, store.where)
