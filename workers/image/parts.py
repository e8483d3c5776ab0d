"""What is known of an image's parts and not in the image: kept beside it in its repository, and pulled by no host.

It is an artifact by the OCI image specification 1.1, with the image as its subject, under the tag `sha256-….parts`
(the way of registries that do not know referrers yet). With it, a builder that has nothing but the lockfile knows what
every unchanged package needs, and installs only what has changed.
"""

import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from deflate import gzip_compress

from watcher.image import DiffID, Digest, Platform
from workers.image.base import LARGEST_CONFIG
from workers.image.component import SHARED
from workers.image.directories import Directories
from workers.image.each import each
from workers.image.notes import LARGEST, Facts, Notes
from workers.image.packing import GZIP_LEVEL, Packing
from workers.image.plan import Found
from workers.oci.manifest import (
    Descriptor,
    ImageConfig,
    ImageUnreadable,
    Manifest,
)
from workers.oci.referrers import Artifact
from workers.oci.store import Store, StoreRefused, attach, find_manifest, small_blob

COMPONENT, KEY = "io.toplayer.component", "io.toplayer.key"
"""Annotations of a layer: what is in it, and what its bytes depend on."""
SINCE, STEPS = "io.toplayer.since", "io.toplayer.steps"
"""Annotations of a patch: the key that the component has in the layer below, and how many changes it is made of."""
PARTS = "application/vnd.toplayer.parts.v2+gzip"

_LARGEST, _MOST_STEPS = 64 * 1024**2, 10_000


@dataclass(frozen=True, slots=True)
class Known:
    """What earlier images have to offer: layers by their keys, and what is noted of their components.

    `stack` are the layers above the base, from the bottom up, of the last of these images that has any, and `base` are
    those below them. `directories` are as this image has them.
    """

    layers: Mapping[str, tuple[Descriptor, DiffID]] = field(default_factory=dict)
    facts: Mapping[str, Facts] = field(default_factory=dict)
    churn: Mapping[str, float] = field(default_factory=dict)
    stack: tuple[Found, ...] = ()
    digests: frozenset[Digest] = frozenset()
    base: tuple[Digest, ...] = ()
    directories: Directories = field(default_factory=Directories)

    def __or__(self, other: "Known") -> "Known":
        return Known(
            {**self.layers, **other.layers},
            {**self.facts, **other.facts},
            {**self.churn, **other.churn},
            other.stack or self.stack,
            self.digests | other.digests,
            other.base if other.stack else self.base,
            other.directories,
        )

    @property
    def loose(self) -> "Known":
        """Its layers and what is known of them, but not how they lie: of an image that is not the one before."""
        return replace(self, stack=(), base=())

    def packed(self, ways: Collection[Packing]) -> "Known":
        """Only what is packed in one of these ways. If one layer of the image is not, it is none to go on from."""
        kinds = {way.media_type for way in ways}
        layers = {key: pair for key, pair in self.layers.items() if pair[0].media_type in kinds}
        whole = all(found.key in layers for found in self.stack)
        return replace(self, layers=layers, stack=self.stack if whole else ())

    def within(self, store: Store) -> "Known":
        """Only what is in the repository."""
        there = each(lambda pair: store.has(pair[0].digest), list(self.layers.values()))
        layers = {key: self.layers[key] for key, has in zip(self.layers, there, strict=True) if has}
        return replace(self._with(layers), digests=frozenset())

    def on(self, base: Digest | None, directories: Directories) -> "Known":
        """Only what fits a base: nothing that was built for another one, and no layer with something of the kind.

        No layer at all, if they say other things of directories.
        """
        if self.directories.odd != directories.odd:
            return replace(self, directories=directories)._with({}).on(base, directories)
        odd = {key for key, one in self.facts.items() if one.built_on not in ("", str(base))}
        if not odd:
            return self
        held = {found.key for found in self.stack if odd & {found.key, *found.keys} or found.names == (SHARED,)}
        layers = {key: pair for key, pair in self.layers.items() if key not in odd | held}
        return replace(self._with(layers), facts={key: one for key, one in self.facts.items() if key not in odd})

    def _with(self, layers: Mapping[str, tuple[Descriptor, DiffID]]) -> "Known":
        """What is missing of the stack can be made again, but for patches."""
        whole = not any(found.since for found in self.stack) or all(found.key in layers for found in self.stack)
        return replace(self, layers=layers, stack=self.stack if whole else ())


def known(store: Store, name: str, platform: Platform) -> Known:
    """What the image called `name` (a digest or a tag) has to offer; nothing, if it is not there or not whole.

    Of an image for several platforms it is the one for `platform`.

    A `StoreUnreachable` says that this is not known now.
    """
    try:
        manifest = find_manifest(store, name, platform)
        return _known(store, manifest, platform) if manifest else Known()
    except (ImageUnreadable, StoreRefused, ValueError, zlib.error):
        # Then everything is built again, which is slower and not wrong.
        return Known()


def _known(store: Store, manifest: Manifest, platform: Platform) -> Known:
    config = ImageConfig.parse(small_blob(manifest.config, store, LARGEST_CONFIG), store.where)
    digests = frozenset(layer.digest for layer in manifest.layers)
    below = tuple(layer.digest for layer in manifest.layers if KEY not in layer.annotations)
    beside = store.manifest(_tag(manifest.digest))
    if beside is None:
        return Known(digests=digests)
    parts = Manifest.parse(beside, store.where).layers
    if not parts:
        return Known(digests=digests)
    notes = Notes.parse(_unpacked(small_blob(parts[0], store, _LARGEST)))
    ours = [layer for layer in manifest.layers if KEY in layer.annotations and COMPONENT in layer.annotations]
    found = Known(
        layers={
            layer.annotations[KEY]: (layer, diff_id)
            for layer, diff_id in zip(manifest.layers, config.diff_ids, strict=True)
            if KEY in layer.annotations
        },
        facts=notes.facts,
        churn=notes.churn,
        stack=_coherent(_found(layer, notes) for layer in ours),
        digests=digests,
        base=below,
        directories=notes.directories,
    )
    # What is for other machines is nothing to go on from, and some of it is the same for all of them.
    return found if config.platform.fits(platform) else found.loose


def _coherent(layers: Iterable[Found]) -> tuple[Found, ...]:
    """The layers, if they could have been laid by us; whoever can push to the repository can write anything."""
    found, homes, patched = tuple(layers), set[str](), set[str]()
    for layer in found:
        place, needed = (patched, homes) if layer.since else (homes, set(layer.names))
        fits = needed.issuperset(layer.names) and place.isdisjoint(layer.names) and layer.size <= LARGEST
        if not layer.names or not fits or len(set(layer.names)) < len(layer.names):
            return ()
        if layer.since and not (len(layer.names) == 1 and 1 <= layer.steps <= _MOST_STEPS):
            return ()
        place |= set(layer.names)
    return found


def _found(layer: Descriptor, notes: Notes) -> Found:
    """A layer, by its annotations: `pypi:django@5.2.1 pypi:lxml@6.0`."""
    names = tuple(word.partition("@")[0] for word in layer.annotations[COMPONENT].split())
    key, since = layer.annotations[KEY], layer.annotations.get(SINCE, "")
    keys = notes.groups.get(key, () if since else (key,))
    return Found(names, key, layer.size, keys, since, int(layer.annotations.get(STEPS, "0")))


def keep(store: Store, image: Manifest, notes: Notes) -> int:
    """Puts what is known of the image's parts beside it; the bytes that travelled."""
    raw = bytes(gzip_compress(notes.json(), GZIP_LEVEL))
    return attach(store, image, Artifact(kind=PARTS, content=raw, tag=_tag(image.digest)))


def _unpacked(packed: bytes) -> bytes:
    """Not more than `_LARGEST` bytes: few of them may unpack to any number."""
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    raw = unpacker.decompress(packed, _LARGEST)
    if not unpacker.eof:
        raise ValueError("it unpacks to too much")
    return raw


def _tag(image: Digest) -> str:
    return f"sha256-{image.hex}.parts"
