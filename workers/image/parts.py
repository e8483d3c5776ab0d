"""What is known of an image's parts and not in the image: kept beside it in its repository, and pulled by no host.

It is an artifact by the OCI image specification 1.1, with the image as its subject, under the tag `sha256-….parts`
(the way of registries that do not know referrers yet). With it, a builder that has nothing but the lockfile knows what
every unchanged package needs, and installs only what has changed.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from deflate import gzip_compress

from watcher.image import DiffID, Digest
from workers.image.base import LARGEST_CONFIG
from workers.image.packing import GZIP_LEVEL
from workers.image.plan import Found
from workers.oci.manifest import (
    OCI_MANIFEST,
    Descriptor,
    ImageConfig,
    ImageUnreadable,
    Manifest,
    canonical,
    digest_of,
)
from workers.oci.store import Store, StoreRefused, small_blob

COMPONENT, KEY = "io.toplayer.component", "io.toplayer.key"
"""Annotations of a layer: what is in it, and what its bytes depend on."""
PARTS = "application/vnd.toplayer.parts.v2+gzip"

_EMPTY = Descriptor(media_type="application/vnd.oci.empty.v1+json", digest=digest_of(b"{}"), size=2)
_LARGEST = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found out when a component was made: bytes as they travel, and what it needs (Requires-Dist)."""

    size: int
    requires: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What earlier images have to offer: layers by their keys, and facts of components by theirs.

    `stack` are the layers above the base, from the bottom up, of the last of these images that has any.
    """

    layers: Mapping[str, tuple[Descriptor, DiffID]] = field(default_factory=dict)
    facts: Mapping[str, Facts] = field(default_factory=dict)
    stack: tuple[Found, ...] = ()
    digests: frozenset[Digest] = frozenset()

    def __or__(self, other: "Known") -> "Known":
        layers, facts = {**self.layers, **other.layers}, {**self.facts, **other.facts}
        return Known(layers, facts, other.stack or self.stack, self.digests | other.digests)


def known(store: Store, name: str) -> Known:
    """What the image called `name` (a digest or a tag) has to offer; nothing, if it is not there or not whole.

    A `StoreUnreachable` says that this is not known now.
    """
    try:
        raw = store.manifest(name)
        return _known(store, Manifest.parse(raw, store.where)) if raw else Known()
    except (ImageUnreadable, StoreRefused, ValueError, KeyError, TypeError, AttributeError, RecursionError, zlib.error):
        # Then everything is built again, which is slower and not wrong.
        return Known()


def _known(store: Store, manifest: Manifest) -> Known:
    config = ImageConfig.parse(small_blob(manifest.config, store, LARGEST_CONFIG), store.where)
    digests = frozenset(layer.digest for layer in manifest.layers)
    beside = store.manifest(_tag(manifest.digest))
    if beside is None:
        return Known(digests=digests)
    parts = Manifest.parse(beside, store.where).layers[0]
    table = json.loads(_unpacked(small_blob(parts, store, _LARGEST)))
    ours = [layer for layer in manifest.layers if KEY in layer.annotations and COMPONENT in layer.annotations]
    return Known(
        layers={
            layer.annotations[KEY]: (layer, diff_id)
            for layer, diff_id in zip(manifest.layers, config.diff_ids, strict=True)
            if KEY in layer.annotations
        },
        facts={str(key): Facts(int(row["size"]), tuple(map(str, row["requires"]))) for key, row in table.items()},
        stack=tuple(_found(layer) for layer in ours),
        digests=digests,
    )


def _found(layer: Descriptor) -> Found:
    """A layer, by its annotations: `pypi:django@5.2.1 pypi:lxml@6.0`."""
    names = tuple(word.partition("@")[0] for word in layer.annotations[COMPONENT].split())
    return Found(names, layer.annotations[KEY], layer.size)


def publish(store: Store, image: Manifest, facts: Mapping[str, Facts]) -> int:
    """Puts what is known of the image's parts beside it; the bytes that travelled."""
    table = {key: {"size": one.size, "requires": list(one.requires)} for key, one in facts.items()}
    raw = bytes(gzip_compress(canonical(table), GZIP_LEVEL))
    parts = Descriptor(media_type=PARTS, digest=digest_of(raw), size=len(raw))
    subject = Descriptor(media_type=OCI_MANIFEST, digest=image.digest, size=len(image.raw))
    manifest = canonical(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": PARTS,
            "config": _EMPTY.json(),
            "layers": [parts.json()],
            "subject": subject.json(),
        }
    )
    if store.manifest(_tag(image.digest)) == manifest:
        return 0
    sent = store.put_blob(_EMPTY.digest, b"{}") + store.put_blob(parts.digest, raw)
    store.put_manifest(manifest, OCI_MANIFEST, _tag(image.digest))
    return sent + len(manifest)


def _unpacked(packed: bytes) -> bytes:
    """Not more than `_LARGEST` bytes: few of them may unpack to any number."""
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    raw = unpacker.decompress(packed, _LARGEST)
    if not unpacker.eof:
        raise ValueError("it unpacks to too much")
    return raw


def _tag(image: Digest) -> str:
    return f"sha256-{image.hex}.parts"
