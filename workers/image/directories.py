"""Whose the directories of a base are in which an image has something.

A layer says again whose every directory above its files is: engines unpack it beside the layers below, and know nothing
of them. What it says has to be what the base says, or a program that runs as its base's user loses its own home. That
stands in the base's layers only, so these are read: once for a base, and only if it makes a difference.
"""

import posixpath
import tarfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from watcher.image import Digest
from watcher.settings import ImageSettings
from workers.image.base import Base
from workers.image.component import key_of
from workers.image.entry import DIRECTORY_MODES, shown
from workers.image.errors import BuildRefused
from workers.image.packing import BROKEN, unpacked
from workers.image.places import above
from workers.oci.manifest import Descriptor
from workers.oci.store import Store

WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
_ROOT = ("", "0", "root")


class Directory(NamedTuple):
    """The permissions of a directory, and its owner's numbers."""

    mode: int = 0o755
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class Directories:
    """The directories that are not as usual (root's, and mostly 0755), by their paths.

    `key` stands for the base and the places that this is about; empty, if nobody has looked.
    """

    key: str = ""
    odd: Mapping[str, Directory] = field(default_factory=dict)


def directories(base: Base, image: ImageSettings, known: Iterable[Directories]) -> Directories:
    """What an image of these settings has to say of its directories. Nothing is read that is `known` from earlier ones.

    A `BuildRefused` if the base has something else there; and what stores raise.
    """
    places = sorted({path for place in (image.venv, image.code) for path in above(place.strip("/"))})
    if base.digest is None or base.store is None or _is_all_roots(base, image, places):
        return Directories()
    key = key_of({"base": base.digest, "places": places})
    told = next((one for one in known if one.key == key), None)
    return told or Directories(key, _read(base.store, base.layers, places, base.digest))


def _is_all_roots(base: Base, image: ImageSettings, places: Collection[str]) -> bool:
    """Whether nobody but root runs there, who may do everything anyway."""
    user = str(image.user or base.config.run.get("User") or "").partition(":")[0]
    return user in _ROOT and "home" not in places


def _read(store: Store, layers: Iterable[Descriptor], places: Collection[str], base: Digest) -> dict[str, Directory]:
    found: dict[str, Directory | None] = {}
    for layer in layers:
        for path, what in _entries(store, layer):
            head, name = posixpath.split(path)
            if name == OPAQUE:
                found = {place: one for place, one in found.items() if not place.startswith(f"{head}/")}
            elif name.startswith(WHITEOUT):
                gone = posixpath.join(head, name.removeprefix(WHITEOUT))
                found = {place: one for place, one in found.items() if gone not in above(place)}
            elif path in places:
                found[path] = what
    for place, one in found.items():
        if one is None:
            why = f"base {base.short} has a file or a link there, which a layer would replace"
            raise BuildRefused(shown(f"/{place}"), why, "choose another place for `venv` and `code`")
    usual = {place: Directory(DIRECTORY_MODES.get(place, 0o755)) for place in found}
    return {place: one for place, one in found.items() if one is not None and one != usual[place]}


def _entries(store: Store, layer: Descriptor) -> Iterator[tuple[str, Directory | None]]:
    """The paths in a layer, in their order; with the directory that is there, if it is one."""
    try:
        with store.blob(layer.digest) as blob, tarfile.open(fileobj=unpacked(blob, layer.media_type), mode="r|") as tar:
            for one in tar:
                path = posixpath.normpath(f"/{one.name}").lstrip("/")
                yield path, Directory(one.mode & 0o7777, one.uid, one.gid) if one.isdir() else None
    except BROKEN as error:
        raise BuildRefused(f"layer {layer.digest.short}", f"it cannot be read: {error}") from error
