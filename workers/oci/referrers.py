"""What is said about an image beside it: artifacts that name it as their subject (OCI 1.1), which no host pulls.

Where a registry does not know referrers, the list of them is an index under a tag that is made of the subject's digest,
and kept by whoever adds to it (distribution specification 1.1, "Referrers Tag Schema").
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from watcher.image import Digest
from workers.oci.manifest import OCI_INDEX, OCI_MANIFEST, Descriptor, ImageUnreadable, Manifest, canonical, digest_of

EMPTY = Descriptor(media_type="application/vnd.oci.empty.v1+json", digest=digest_of(b"{}"), size=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """Bytes of a kind (a media type) about an image. A `tag` is another way to find them."""

    kind: str
    content: bytes
    tag: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> Digest:
        return digest_of(self.content)

    def manifest(self, subject: Manifest) -> bytes:
        """The manifest that says what the bytes are about, in canonical form."""
        about = Descriptor(media_type=OCI_MANIFEST, digest=subject.digest, size=len(subject.raw))
        row = Descriptor(media_type=self.kind, digest=self.digest, size=len(self.content))
        told = {"annotations": dict(self.annotations)} if self.annotations else {}
        return canonical(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "artifactType": self.kind,
                "config": EMPTY.json(),
                "layers": [row.json()],
                "subject": about.json(),
                **told,
            }
        )


def tag_of(subject: Digest) -> str:
    """The tag of the list where nobody else keeps one."""
    return f"sha256-{subject.hex}"


def subject_of(raw: bytes) -> Digest | None:
    """Which image a manifest says that it is about, if it does."""
    try:
        return Digest(str(json.loads(raw)["subject"]["digest"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def listed(index: bytes | None, raw: bytes, where: str) -> bytes | None:
    """The list with the artifact whose manifest is `raw`; None if it has it already."""
    rows = list(referrers(index, where)) if index else []
    table = json.loads(raw)
    digest = digest_of(raw)
    if any(row.digest == digest for row in rows):
        return None
    mine = Descriptor(
        media_type=OCI_MANIFEST,
        digest=digest,
        size=len(raw),
        artifact_type=str(table.get("artifactType", "")),
        annotations=table.get("annotations") or {},
    )
    return canonical({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [row.json() for row in (*rows, mine)]})


def referrers(index: bytes, where: str) -> tuple[Descriptor, ...]:
    """The artifacts in a list; an `ImageUnreadable` if it is none."""
    try:
        rows: Any = json.loads(index)["manifests"]
    except (ValueError, KeyError, TypeError, RecursionError):
        rows = None
    if not isinstance(rows, list):
        raise ImageUnreadable(where, "referrers", "an image index", f"{index[:60]!r}")
    return tuple(Descriptor.parse(row, where, f"referrers.manifests[{n}]") for n, row in enumerate(rows))
