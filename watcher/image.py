"""The names of an image and of its parts, as the OCI image specification has them.

`Digest` and `DiffID` are both `sha256:…` and are two types on purpose: the first names the bytes that travel (a
compressed blob, a manifest), the second the tar inside. Mixing them up builds an image that no engine can unpack.
"""

import re
from dataclasses import dataclass
from typing import Self

_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
# Grammar of the distribution specification, with the host in front: the first part counts as a host only if it has a
# dot or a colon, or is `localhost` (what every client does).
_HOST = r"(?:localhost|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?=[.:])[A-Za-z0-9.-]*|\[[0-9a-fA-F:]+\])(?::\d{1,5})?"
_PATH = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
_REPOSITORY = re.compile(rf"(?:(?P<host>{_HOST})/)?(?P<path>{_PATH})")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


class _Sha256(str):
    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """`text` checked to be `sha256:` and 64 hexadecimal digits; a `ValueError` otherwise."""
        if not _SHA256.fullmatch(text):
            raise ValueError(f"expected sha256:<64 hexadecimal digits>, got {text[:80]!r}")
        return super().__new__(cls, text)

    @property
    def hex(self) -> str:
        """The 64 digits without the algorithm."""
        return self[7:]

    @property
    def short(self) -> str:
        """Twelve digits, for people."""
        return self[7:19]


class Digest(_Sha256):
    """The hash of bytes as they travel: a blob or a manifest."""

    __slots__ = ()


class DiffID(_Sha256):
    """The hash of an uncompressed layer tar."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Platform:
    """An operating system and an architecture, in Go's words: `linux/amd64`, `linux/arm64/v8`."""

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """`os/architecture[/variant]`; a `ValueError` otherwise."""
        parts = text.split("/")
        if len(parts) not in (2, 3) or not all(re.fullmatch(r"[a-z0-9_]+", part) for part in parts):
            raise ValueError(f"expected os/architecture such as linux/amd64, got {text[:80]!r}")
        return cls(*parts)

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))

    @property
    def in_tag(self) -> str:
        """As a part of a tag: `linux-arm64`."""
        return str(self).replace("/", "-")

    def fits(self, wanted: "Platform") -> bool:
        """Whether what is for this platform is for another one. A variant matters only if it is asked for."""
        same = (self.os, self.architecture) == (wanted.os, wanted.architecture)
        return same and wanted.variant in ("", self.variant)

    def is_like(self, other: "Platform") -> bool:
        """Whether both can be the same. Builders leave a variant out that goes without saying (`arm64` is `v8`)."""
        same = (self.os, self.architecture) == (other.os, other.architecture)
        return same and (not self.variant or not other.variant or self.variant == other.variant)

    def json(self) -> dict[str, str]:
        """As an image index has it."""
        return {"os": self.os, "architecture": self.architecture} | ({"variant": self.variant} if self.variant else {})


@dataclass(frozen=True, slots=True)
class Reference:
    """Where an image is: a repository, and a tag or a digest (or both; the digest decides).

    `repository` keeps its host in front (`registry.example:5000/team/shop`).
    """

    repository: str
    tag: str = ""
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """`[host/]path[:tag][@digest]`, the grammar of the OCI distribution specification; a `ValueError` otherwise."""
        rest, _, digest = text.partition("@")
        head, _, last = rest.rpartition("/")
        name, _, tag = last.partition(":")
        repository = f"{head}/{name}" if head else name
        if not _REPOSITORY.fullmatch(repository) or (tag and not _TAG.fullmatch(tag)) or rest.endswith(":"):
            raise ValueError(f"expected [host/]path[:tag][@sha256:…], got {text[:120]!r}")
        return cls(repository, tag, Digest(digest) if digest else None)

    @property
    def host(self) -> str:
        """The registry's `host[:port]`, or an empty text where the name has none."""
        match = _REPOSITORY.fullmatch(self.repository)
        return (match["host"] or "") if match else ""

    @property
    def path(self) -> str:
        """The repository's name within its registry."""
        return self.repository.removeprefix(f"{self.host}/") if self.host else self.repository

    @property
    def name(self) -> str:
        """What to ask a registry for: the digest if there is one, else the tag, else `latest`."""
        return self.digest or self.tag or "latest"

    def at(self, digest: Digest) -> "Reference":
        """The same repository, by digest."""
        return Reference(self.repository, digest=digest)

    def __str__(self) -> str:
        return f"{self.repository}{f':{self.tag}' if self.tag else ''}{f'@{self.digest}' if self.digest else ''}"
