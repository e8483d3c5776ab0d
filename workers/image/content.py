"""What is in a file of a layer: bytes, a file on the disk, or one inside of an archive that is read in its turn."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

_CHUNK = 1024 * 1024


class Packed(Protocol):
    """A file inside of an archive: `size` in bytes, and the SHA-256 (64 digits) if it is known without reading."""

    @property
    def size(self) -> int: ...

    @property
    def sha256(self) -> str: ...

    def chunks(self) -> Iterator[bytes]:
        """Its bytes, a piece at a time; an error of toplayer after the last one if they are not what they should be."""
        ...


Content = Path | bytes | Packed


def size_of(content: Content) -> int:
    """How many bytes there are."""
    if isinstance(content, bytes):
        return len(content)
    return content.stat().st_size if isinstance(content, Path) else content.size


def chunks(content: Content) -> Iterator[bytes]:
    """The bytes, a piece at a time."""
    if isinstance(content, bytes):
        yield content
    elif isinstance(content, Path):
        with content.open("rb") as source:
            while chunk := source.read(_CHUNK):
                yield chunk
    else:
        yield from content.chunks()


def sha256_of(content: Content) -> str:
    """The SHA-256 of the bytes, 64 digits; of a packed file as its archive has it, without reading."""
    if not isinstance(content, (bytes, Path)) and content.sha256:
        return content.sha256
    digits = hashlib.sha256()
    for chunk in chunks(content):
        digits.update(chunk)
    return digits.hexdigest()


def is_told(content: Content) -> bool:
    """Whether its SHA-256 is known without reading it, which may be on the disk no more."""
    return isinstance(content, bytes) or (not isinstance(content, Path) and bool(content.sha256))


def whole(content: Content) -> bytes:
    """All of the bytes at once."""
    return content if isinstance(content, bytes) else b"".join(chunks(content))
