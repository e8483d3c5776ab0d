"""An image for several platforms: one for each, and an index of them, which is what hosts are told to pull."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from watcher.image import Digest, Platform
from watcher.rollout import Built
from workers.image.labels import OCI
from workers.image.recipe import Recipe
from workers.oci.manifest import OCI_INDEX, OCI_MANIFEST, Descriptor, Manifest, canonical
from workers.oci.store import Store, StoreRefused


def build_each(recipe: Recipe, store: Store, build: Callable[[Recipe], Built]) -> Built:
    """Builds the image for each of its platforms. For one, it is what `build` makes; for more, there is an index.

    An index costs hosts a few hundred bytes: each pulls the one for its own platform. What is told of sizes is that of
    the platform for which most is new.
    """
    platforms = recipe.image.every_platform
    if len(platforms) == 1:
        return build(replace(recipe, image=recipe.image.on(platforms[0])))
    began, made = time.monotonic(), list[Built]()
    for platform in platforms:
        # What is the same everywhere, the code above all, is made once.
        others = (*recipe.others, *(one.image for one in made))
        made.append(build(replace(recipe, image=recipe.image.on(platform), others=others, is_part=True)))
    index = _index(platforms, [one.image for one in made], store)
    is_new = store.manifest(recipe.tag) != index
    digest = store.put_manifest(index, OCI_INDEX, recipe.tag)
    most = max(made, key=lambda one: one.new_size)
    return replace(
        most,
        image=digest,
        size=max(one.size for one in made) + len(index),
        pushed=sum(one.pushed for one in made) + (len(index) if is_new else 0),
        seconds=time.monotonic() - began,
        warning="; ".join(dict.fromkeys(one.warning for one in made if one.warning)),
    )


def _index(platforms: Sequence[str], images: Sequence[Digest], store: Store) -> bytes:
    manifests = [_manifest(image, store) for image in images]
    rows = [
        Descriptor(media_type=OCI_MANIFEST, digest=one.digest, size=len(one.raw), platform=Platform.parse(platform))
        for platform, one in zip(platforms, manifests, strict=True)
    ]
    # What is said of all of them; each stands on a base of its own.
    said = {name: text for name, text in manifests[0].annotations.items() if not name.startswith(f"{OCI}base.")}
    table = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [row.json() for row in rows], "annotations": said}
    return canonical(table)


def _manifest(image: Digest, store: Store) -> Manifest:
    raw = store.manifest(image)
    if raw is None:
        raise StoreRefused(store.where, f"{image} was there a moment ago, and is not any more")
    return Manifest.parse(raw, store.where)
