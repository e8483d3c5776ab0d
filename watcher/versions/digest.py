"""Images: a tag is not a version, so the version is the digest of what the tag names. Digests have no order."""

from collections.abc import Iterable

from watcher.image import Digest
from watcher.versions.kind import Kind
from watcher.versions.line import Line

BY_TAG = ""
"""The version of an image that is named by its tag alone: whatever that names on the day."""


class ByDigest:
    """The scheme of images. Another digest is a newer one, because only what a tag names now is ever offered."""

    def normal(self, version: str) -> str:
        return str(Digest(version)) if version else BY_TAG

    def key(self, version: str) -> str:
        return self.normal(version)

    def is_newer(self, version: str, than: str) -> bool:
        return self.normal(version) != self.normal(than)

    def is_prerelease(self, version: str) -> bool:
        return False

    def allows(self, constraint: str, version: str) -> bool:
        if constraint:
            raise ValueError(f"expected no constraint on a digest, got {constraint[:80]!r}")
        return True

    def kind(self, before: str, after: str) -> Kind:
        """The same tag made anew: no larger than a patch."""
        return Kind.PATCH

    def line(self, versions: Iterable[str]) -> Line:
        return Line(versions, self)
