"""A layer that holds only what has changed in a component, above the one that holds all of it as it was.

What is gone is whited out, by the OCI image specification's rules for changesets (layer.md, "Whiteouts"). A patch may
lie far above the layer that it changes, so it must not touch what anything else has put there.
"""

import hashlib
import posixpath
import tarfile
from collections.abc import Collection, Iterable, Mapping
from typing import BinaryIO

from workers.image.content import sha256_of
from workers.image.entry import Entry, with_parents
from workers.image.errors import BuildRefused
from workers.image.packing import BROKEN, unpacked
from workers.image.places import above
from workers.oci.manifest import Descriptor

WHITEOUT = ".wh."
"""In front of a name: what the layers below have under it is not there any more."""

_CHUNK = 1024 * 1024

Fact = tuple[int, str, str]
"""What is under a path: its permissions, where a link leads, and the SHA-256 of a file."""


def contents(blob: BinaryIO, layer: Descriptor) -> dict[str, Fact]:
    """What a layer of ours holds, by path. A `BuildRefused` if it cannot be read."""
    source, found = unpacked(blob, layer.media_type), dict[str, Fact]()
    try:
        with tarfile.open(fileobj=source, mode="r|", encoding="utf-8", errors="surrogateescape") as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isreg() else None
                digits = hashlib.sha256()
                while file and (chunk := file.read(_CHUNK)):
                    digits.update(chunk)
                found[member.name] = (member.mode, member.linkname, digits.hexdigest() if file else "")
    except BROKEN as error:
        raise BuildRefused(f"layer {layer.digest.short}", f"it cannot be read: {error}") from error
    return found


def changes(before: Mapping[str, Fact], after: Iterable[Entry], others: Iterable[str]) -> list[Entry]:
    """What has to be laid over `before` for the entries to be there, and nothing else of it.

    `others` are paths at or below which something else has its files: a directory that is above one of them stays.
    """
    wanted = with_parents(after)
    there = {entry.path for entry in wanted} | {place for path in others for place in above(path)}
    fresh = [entry for entry in wanted if before.get(entry.path) != _fact(entry)]
    gone = {path for path in before if path not in there}
    # A directory takes along what is in it.
    return [*fresh, *(Entry(_white(path), b"") for path in sorted(gone) if posixpath.dirname(path) not in gone)]


def below(held: Mapping[str, Fact], places: Collection[str]) -> dict[str, Fact]:
    """What of `held` is at or below one of these paths, with the directories above."""
    parents = {path for place in places for path in above(place)}
    return {
        path: fact for path, fact in held.items() if path in parents or any(place in places for place in above(path))
    }


def _fact(entry: Entry) -> Fact:
    return entry.mode, entry.link, sha256_of(entry.content) if entry.content is not None else ""


def _white(path: str) -> str:
    return posixpath.join(posixpath.dirname(path), f"{WHITEOUT}{posixpath.basename(path)}")


def touched(patch: Iterable[Entry]) -> list[str]:
    """The paths that a patch lays something over, or takes away."""
    return [_plain(entry.path) for entry in patch if not entry.is_directory]


def _plain(path: str) -> str:
    head, name = posixpath.split(path)
    return posixpath.join(head, name.removeprefix(WHITEOUT))
