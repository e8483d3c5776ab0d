"""An image repository in memory."""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from watcher.image import Digest
from workers.oci.manifest import INDEXES, Descriptor, Manifest, digest_of
from workers.oci.referrers import listed, referrers, subject_of
from workers.oci.store import BlobsMissing, Store, StoreRefused, StoreUnreachable


class FakeStore:
    """A repository called `where`; repositories with the same host are next door to each other.

    `uploads` are the digests that travelled, in their order. `offline` and `full` make it fail as the real ones do.
    """

    def __init__(self, where: str = "registry.example/team/shop") -> None:
        self._where = where
        self.blobs: dict[Digest, bytes] = {}
        self.manifests: dict[Digest, bytes] = {}
        self.about: dict[Digest, bytes] = {}
        self.tags: dict[str, Digest] = {}
        self.uploads: list[Digest] = []
        self.offline = False
        self.full = False

    @property
    def where(self) -> str:
        return self._where

    def manifest(self, name: str) -> bytes | None:
        self._answer()
        digest = Digest(name) if name.startswith("sha256:") else self.tags.get(name)
        raw = self.manifests.get(digest) if digest else None
        return self._checked(digest, raw) if digest and raw is not None else None

    def named(self, name: str) -> Digest | None:
        raw = self.manifest(name)
        return None if raw is None else digest_of(raw)

    def put_manifest(self, raw: bytes, media_type: str, tag: str = "") -> Digest:
        self._answer(writing=True)
        if media_type not in INDEXES:
            manifest = Manifest.parse(raw, self.where)
            for part in (manifest.config, *manifest.layers):
                if part.digest not in self.blobs:
                    raise BlobsMissing(self.where, f"the manifest names {part.digest}, and there is no such blob")
        digest, subject = digest_of(raw), subject_of(raw)
        self.manifests[digest] = raw
        if subject:
            self.about[subject] = listed(self.about.get(subject), raw, self.where) or self.about[subject]
        if tag:
            self.tags[tag] = digest
        return digest

    def referrers(self, subject: Digest) -> tuple[Descriptor, ...]:
        self._answer()
        return referrers(self.about[subject], self.where) if subject in self.about else ()

    def has(self, digest: Digest) -> bool:
        self._answer()
        return digest in self.blobs

    def size(self, digest: Digest) -> int | None:
        self._answer()
        return len(self.blobs[digest]) if digest in self.blobs else None

    @contextmanager
    def blob(self, digest: Digest) -> Iterator[BinaryIO]:
        self._answer()
        if digest not in self.blobs:
            raise StoreRefused(self.where, f"there is no blob {digest}")
        yield io.BytesIO(self._checked(digest, self.blobs[digest]))

    def save(self, digest: Digest, path: Path) -> None:
        with self.blob(digest) as stream:
            path.write_bytes(stream.read())

    def put_blob(self, digest: Digest, source: bytes | Path) -> int:
        if self.has(digest):
            return 0
        self._answer(writing=True)
        raw = source if isinstance(source, bytes) else source.read_bytes()
        self.blobs[digest] = self._checked(digest, raw)
        self.uploads.append(digest)
        return len(raw)

    def adopt(self, digest: Digest, neighbour: Store) -> bool:
        self._answer(writing=True)
        near = isinstance(neighbour, FakeStore) and neighbour.where.split("/")[0] == self.where.split("/")[0]
        if not near or not isinstance(neighbour, FakeStore) or digest not in neighbour.blobs:
            return False
        self.blobs[digest] = neighbour.blobs[digest]
        return True

    def _checked(self, digest: Digest, raw: bytes) -> bytes:
        digits = hashlib.sha256(raw).hexdigest()
        if digits != digest.hex:
            raise StoreRefused(self.where, f"{digest} is damaged: its bytes are sha256:{digits}")
        return raw

    def _answer(self, *, writing: bool = False) -> None:
        if self.offline:
            raise StoreUnreachable(self.where, "it is switched off")
        if self.full and writing:
            raise StoreRefused(self.where, "No space left on device", "free some space and try again")
