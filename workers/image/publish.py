"""Layers → an image that hosts can pull: its configuration, its manifest, and what is told of it beside it."""

from collections.abc import Sequence

from watcher.image import DiffID
from workers.image.base import Base
from workers.image.component import Component
from workers.image.config import image_config
from workers.image.labels import annotations, labels
from workers.image.laying import Laid
from workers.image.papers import Subject, papers
from workers.image.parts import COMPONENT, SINCE, keep
from workers.image.recipe import Recipe
from workers.oci.manifest import OCI_CONFIG, OCI_MANIFEST, Descriptor, Manifest, digest_of
from workers.oci.store import Store, attach


def publish(
    recipe: Recipe, base: Base, store: Store, laid: Laid, components: Sequence[Component]
) -> tuple[Manifest, int]:
    """Publishes an image whose layers are there, under the tag of its commit; the bytes that travelled, too.

    What is told of it comes first: whoever finds the image finds that as well.
    """
    manifest, config = _manifest(recipe, base, laid.layers)
    sent = keep(store, manifest, laid.notes)
    tag = "" if recipe.is_part else recipe.tag
    if store.manifest(tag or manifest.digest) != manifest.raw:
        sent += store.put_blob(manifest.config.digest, config)
        store.put_manifest(manifest.raw, OCI_MANIFEST, tag)
        sent += len(manifest.raw)
    subject = _subject(recipe, manifest)
    told = papers(recipe, base, components, laid.notes.facts, subject)
    return manifest, sent + sum(attach(store, manifest, one) for one in told)


def _manifest(recipe: Recipe, base: Base, layers: Sequence[tuple[Descriptor, DiffID]]) -> tuple[Manifest, bytes]:
    told = labels(recipe, base)
    ids = [(_story(layer), diff_id) for layer, diff_id in layers]
    raw = image_config(recipe.image, base, ids, told, recipe.committed_at)
    config = Descriptor(media_type=OCI_CONFIG, digest=digest_of(raw), size=len(raw))
    return Manifest.make(config, (*base.layers, *(layer for layer, _ in layers)), annotations(told)), raw


def _subject(recipe: Recipe, manifest: Manifest) -> Subject:
    names = [(layer, layer.annotations.get(COMPONENT, "").split()) for layer in manifest.layers]
    # A patch comes later, and is where the component is.
    layers = {word.partition("@")[0]: layer.digest for layer, words in names for word in words}
    return Subject(recipe.image.repository, manifest.digest, layers)


def _story(layer: Descriptor) -> str:
    """What people read of a layer in an image's history."""
    patch = "patch of " if SINCE in layer.annotations else ""
    return patch + layer.annotations[COMPONENT]
