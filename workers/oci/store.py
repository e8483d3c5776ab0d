"""The door to a place that holds images. A registry, an OCI layout directory and a fake pass the same tests."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

from watcher.errors import Refused, Temporary
from watcher.image import Digest, Platform
from workers.oci.manifest import OCI_MANIFEST, Descriptor, ImageUnreadable, Manifest, choose, digest_of
from workers.oci.referrers import EMPTY, Artifact

_MOST_INDEXES = 3


class Store(Protocol):
    """One repository: blobs by digest, manifests by digest or tag. Safe to share between threads.

    What is read is checked against the digest that was asked for. Every method raises `StoreUnreachable` (try again)
    or `StoreRefused` (a person has to act), and nothing else.
    """

    @property
    def where(self) -> str:
        """The repository, for people and for hosts that pull from it."""
        ...

    def manifest(self, name: str) -> bytes | None:
        """The bytes of the manifest or index called `name` (a tag or a digest), or None if there is none."""
        ...

    def named(self, name: str) -> Digest | None:
        """The digest of what is called `name` (a tag or a digest), or None if there is none; read only if need be."""
        ...

    def put_manifest(self, raw: bytes, media_type: str, tag: str = "") -> Digest:
        """Publishes a manifest whose blobs are all there, under its digest and, if one is given, under `tag`.

        A `BlobsMissing` if they are not.

        One that has a subject is among the subject's `referrers` from then on.
        """
        ...

    def referrers(self, subject: Digest) -> tuple[Descriptor, ...]:
        """The artifacts that were published with this image as their subject; none, for one that is not there."""
        ...

    def has(self, digest: Digest) -> bool:
        """Whether the repository holds the blob."""
        ...

    def size(self, digest: Digest) -> int | None:
        """How many bytes of the blob the repository says that it has, which may be damaged; None if it says nothing."""
        ...

    def blob(self, digest: Digest) -> AbstractContextManager[BinaryIO]:
        """The blob to read from; reading past its end raises `StoreRefused` if the bytes were not the digest's.

        A blob that is not there is a `StoreRefused` when the block is entered.
        """
        ...

    def save(self, digest: Digest, path: Path) -> None:
        """Writes the blob to a file, whole and checked; a `StoreRefused` if it is not there, or is not the digest's."""
        ...

    def put_blob(self, digest: Digest, source: bytes | Path) -> int:
        """Uploads a blob unless it is there already; the number of bytes that really travelled (0 if it was)."""
        ...

    def adopt(self, digest: Digest, neighbour: "Store") -> bool:
        """Takes a blob over from a repository next door without moving its bytes; False where that cannot be done."""
        ...


class StoreUnreachable(Temporary):
    """The place does not answer, or says that it cannot now."""

    def __init__(self, where: str, why: str, retry_after: float | None = None) -> None:
        self.where, self.why, self.retry_after = where, why, retry_after
        super().__init__(where, why, retry_after)

    def __str__(self) -> str:
        return f"{self.where} did not answer: {self.why}"


class StoreRefused(Refused):
    """The place says no: credentials, a name, a missing or damaged blob, a full disk."""

    def __init__(self, where: str, why: str, hint: str = "") -> None:
        self.where, self.why, self.hint = where, why, hint
        super().__init__(where, why, hint)

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


class BlobsMissing(StoreRefused):
    """Blobs that a manifest names are not in the repository: they never came there, or somebody has deleted them."""


def find_manifest(store: Store, name: str, platform: Platform) -> Manifest | None:
    """The manifest called `name`, or the one for a platform in an index that is called so; None if there is none."""
    for _ in range(_MOST_INDEXES):
        raw = store.manifest(name)
        if raw is None:
            return None
        chosen = choose(raw, platform, store.where)
        if chosen is None:
            return Manifest.parse(raw, store.where)
        name = chosen
    raise ImageUnreadable(store.where, "index.manifests", "images", "indexes of indexes of indexes")


def attach(store: Store, subject: Manifest, artifact: Artifact) -> int:
    """Puts an artifact beside an image, unless it is there; the bytes that travelled."""
    raw = artifact.manifest(subject)
    digest = digest_of(raw)
    # That its manifest is there is not enough: whoever put it may have died before it was listed.
    if store.named(artifact.tag or digest) == digest and digest in {
        one.digest for one in store.referrers(subject.digest)
    }:
        return 0
    sent = store.put_blob(EMPTY.digest, b"{}") + store.put_blob(artifact.digest, artifact.content)
    store.put_manifest(raw, OCI_MANIFEST, artifact.tag)
    return sent + len(raw)


def copy_blob(blob: Descriptor, source: Store, target: Store, directory: Path) -> int:
    """Brings a blob from one repository to another, by the shortest way; the bytes that `target` had to be sent.

    What has to be moved lies in `directory` for a while.
    """
    if target.has(blob.digest) or target.adopt(blob.digest, source):
        return 0
    path = directory / f"blob-{blob.digest.hex}"
    try:
        source.save(blob.digest, path)
        return target.put_blob(blob.digest, path)
    finally:
        path.unlink(missing_ok=True)


def small_blob(blob: Descriptor, store: Store, largest: int) -> bytes:
    """A blob to be held in memory: a configuration, say. More than `largest` bytes are a `StoreRefused`."""
    with store.blob(blob.digest) as stream:
        raw = stream.read(largest + 1)
        if len(raw) > largest or stream.read(1):
            raise StoreRefused(store.where, f"{blob.digest} is larger than {largest} bytes")
        return raw
