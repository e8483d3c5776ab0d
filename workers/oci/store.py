"""The door to a place that holds images. A registry, an OCI layout directory and a fake pass the same tests."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

from watcher.errors import Refused, Temporary
from watcher.image import Digest


class Store(Protocol):
    """One repository: blobs by digest, manifests by digest or tag.

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

    def put_manifest(self, raw: bytes, media_type: str, tag: str = "") -> Digest:
        """Publishes a manifest whose blobs are all there, under its digest and, if one is given, under `tag`."""
        ...

    def has(self, digest: Digest) -> bool:
        """Whether the repository holds the blob."""
        ...

    def blob(self, digest: Digest) -> AbstractContextManager[BinaryIO]:
        """The blob to read from; reading past its end raises `StoreRefused` if the bytes were not the digest's."""
        ...

    def put_blob(self, digest: Digest, source: bytes | Path) -> int:
        """Uploads a blob unless it is there already; the number of bytes that really travelled (0 if it was)."""
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
