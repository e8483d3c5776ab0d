"""What an engine has pushed → the image as it is deployed, and beside it how it came to be.

An engine's own manifest has no annotations (but from Docker 24 on, with containerd's store). So it is written once
more, under the same tag, with the same layers and the same configuration. That comes last, and nobody has deployed the
first.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from watcher.inert import inert
from workers.dockerfile.earlier import REVISION, Earlier
from workers.oci.manifest import IN_OCI, OCI_CONFIG, OCI_KEYS, OCI_MANIFEST, Manifest, canonical
from workers.oci.referrers import Artifact
from workers.oci.store import Store, attach, small_blob

KIND = "application/vnd.toplayer.build.v1+json"
_LARGEST = 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """How a build went: how many bytes it was thought that a host would pull (None: there was nothing to tell by), what
    was said beforehand, what a person should know of it, and the seconds of its commands, by their texts."""

    foreseen: int | None = None
    told: tuple[str, ...] = ()
    warning: str = ""
    timings: Mapping[str, float] = field(default_factory=dict)


def is_finished(image: Earlier) -> bool:
    """Whether nothing is left to do for an image but to deploy it."""
    return REVISION in image.manifest.annotations


def finish(image: Earlier, store: Store, tag: str, journal: Journal) -> tuple[Manifest, int]:
    """The image as it is deployed, and the bytes that travelled for that. Its annotations are those of its labels that
    mean the same there (image specification, "Annotation keys")."""
    told = {name: text for name, text in image.labels.items() if name.startswith(OCI_KEYS)}
    before = image.manifest
    layers = tuple(replace(one, media_type=IN_OCI.get(one.media_type, one.media_type)) for one in before.layers)
    config = replace(before.config, media_type=OCI_CONFIG)
    manifest = Manifest.make(config, layers, {**before.annotations, **told})
    content = canonical(
        {
            "foreseen": journal.foreseen,
            "told": list(journal.told),
            "warning": journal.warning,
            "timings": dict(journal.timings),
        }
    )
    sent = attach(store, manifest, Artifact(kind=KIND, content=content))
    store.put_manifest(manifest.raw, OCI_MANIFEST, tag)
    return manifest, sent + len(manifest.raw)


def recalled(image: Earlier, store: Store) -> Journal:
    """How a finished image came to be; a blank page if nobody has written it down."""
    for one in store.referrers(image.manifest.digest):
        raw = store.manifest(one.digest) if one.artifact_type == KIND else None
        if raw is not None:
            found = Manifest.parse(raw, store.where).layers
            if found and found[0].size <= _LARGEST:
                return _read(small_blob(found[0], store, _LARGEST))
    return Journal()


def _read(content: bytes) -> Journal:
    """What a registry says is taken for what it is: whoever may write there may have written anything."""
    try:
        found: Any = json.loads(content)
        return Journal(
            foreseen=None if found["foreseen"] is None else int(found["foreseen"]),
            told=tuple(inert(str(row)) for row in found["told"]),
            warning=inert(str(found["warning"])),
            timings={str(name): float(seconds) for name, seconds in found["timings"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Journal()
