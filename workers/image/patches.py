"""Patches of components: small layers above those that hold the components as they were."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from watcher.layers.part import Stack
from watcher.layers.price import churn_of
from workers.image.entry import Entry
from workers.image.errors import BuildRefused
from workers.image.files import Files
from workers.image.layer import Layer
from workers.image.parts import Known
from workers.image.patch import below, changes, contents, touched
from workers.image.places import collide
from workers.oci.store import Store, StoreRefused


def patch_of(name: str, before: Stack, files: Files, known: Known, store: Store, place: Path) -> Sequence[Entry]:
    """What makes the component called `name` what it is to be, on hosts that have the layers `before`.

    `place` is a file for its old layer. Nothing, if it cannot be told because that layer is gone, or if others have
    files where it has. A `StoreUnreachable` says that this is not known now.
    """
    component = next(one for one in files.components if one.name == name)
    home = next(layer for layer in before if name in layer.names and not layer.is_patch)
    layer = next((one for one in known.stack if one.names == home.names and not one.since), None)
    mine = known.facts.get(dict(home.parts)[name])
    if mine is None or layer is None:
        return ()
    held, _ = known.layers[layer.key]
    others = {place for one in files.components if one != component for place in files.places(one)}
    try:
        store.save(held.digest, place)
        with place.open("rb") as blob:
            patch = changes(below(contents(blob, held), mine.places), files.of(component), others)
    except (StoreRefused, BuildRefused):
        return ()
    finally:
        place.unlink(missing_ok=True)
    return () if collide(touched(patch), others) else patch


def churned(
    before: Stack, patches: Mapping[str, Layer], sizes: Mapping[str, int], known: Mapping[str, float]
) -> Iterator[tuple[str, float]]:
    """Which share of a component one change replaces, by its patch, and by those before it."""
    steps = {layer.names[0]: layer.steps for layer in before if layer.is_patch}
    for name, patch in patches.items():
        share = churn_of(sizes[name], patch.size, steps.get(name, 0) + 1)
        yield name, (share + known[name]) / 2 if name in known else share
