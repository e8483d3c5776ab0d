"""The secrets of a build: files while it runs, and in nothing that comes of it."""

import gzip
import json
import tarfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

import zstandard

from watcher.secret import Secret
from workers.dockerfile.errors import BuildRefused

_SHORTEST = 4
"""Characters of a secret that is looked for."""
_SHORTEST_ROW = 8
"""And of one of its lines: a shorter one stands in many a text."""
_SHORTEST_IN_FILES = 12
"""Of what is looked for in files, which have any word of a dictionary."""
_CHUNK = 4 * 1024**2


class Readable(Protocol):
    """What can be read bit by bit."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Secrets:
    """`files` are the secrets by their ids, `hidden` are the texts in them that are shown to nobody."""

    files: Mapping[str, Path] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()

    @classmethod
    def written(cls, secrets: Mapping[str, Secret], directory: Path) -> "Secrets":
        """The secrets, each in a file of its own below a throwaway directory. A `BuildRefused` for one that is not
        set."""
        files: dict[str, Path] = {}
        hidden: dict[str, None] = {}
        for number, (id, secret) in enumerate(sorted(secrets.items())):
            try:
                value = secret.reveal()
            except LookupError as error:
                raise BuildRefused(f"secret {id}", str(error)) from None
            files[id] = directory / f"secret-{number}"
            files[id].touch(mode=0o600)
            files[id].write_text(value, encoding="utf-8")
            hidden |= dict.fromkeys(_parts(value))
        return cls(files, tuple(hidden))

    def are_told(self, texts: Iterable[str]) -> bool:
        """Whether one of these texts holds one of the secrets."""
        return bool(self.hidden) and any(secret in text for text in texts for secret in self.hidden)

    def are_in(self, archive: Path, above: int) -> bool:
        """Whether a file in a layer of a saved image holds one of the secrets, as it is. `above`: how many layers at
        the bottom are not looked at. What is packed or encoded in a file is not seen."""
        wanted = [text.encode() for text in self.hidden if len(text) >= _SHORTEST_IN_FILES]
        return bool(wanted) and any(_is_in(stream, wanted) for stream in _layers(archive, above))


def _parts(value: str) -> Iterator[str]:
    whole = value.strip()
    if len(whole) >= _SHORTEST:
        yield whole
    yield from (row for row in map(str.strip, whole.splitlines()) if len(row) >= _SHORTEST_ROW)


def _layers(archive: Path, above: int) -> Iterator[Readable]:
    """The tars of an image's layers. A classic engine saves them as they are, containerd's store as they travelled."""
    with tarfile.open(archive) as tar:
        for name in _named(tar)[above:]:
            stream = tar.extractfile(name)
            if stream is not None:
                yield _unpacked(stream)


def _named(tar: tarfile.TarFile) -> list[str]:
    listed = tar.extractfile("manifest.json")
    rows: Any = json.loads(listed.read()) if listed else []
    return [str(name) for row in rows[:1] for name in row["Layers"]]


def _unpacked(stream: IO[bytes]) -> Readable:
    magic = stream.read(4)
    stream.seek(0)
    if magic[:2] == b"\x1f\x8b":
        return gzip.open(stream)
    return zstandard.ZstdDecompressor().stream_reader(stream) if magic == b"\x28\xb5\x2f\xfd" else stream


def _is_in(stream: Readable, wanted: Collection[bytes]) -> bool:
    longest, before = max(map(len, wanted)), b""
    while chunk := stream.read(_CHUNK):
        seen = before + chunk
        if any(text in seen for text in wanted):
            return True
        before = seen[-longest:]
    return False
