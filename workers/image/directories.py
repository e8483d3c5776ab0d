"""Whose the directories of a base are in which an image has something.

A layer says again whose every directory above its files is: engines unpack it beside the layers below, and know nothing
of them. What it says has to be what the base says, or a program that runs as its base's user loses its own home. That
stands in the base's layers only, so these are read: once for a base, and only if it makes a difference. Its user also
has the directory in which Python keeps what it has compiled.
"""

import posixpath
import tarfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from watcher.image import Digest
from watcher.settings import ImageSettings
from watcher.settings.image import BYTECODE_CACHE
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
_CACHE = BYTECODE_CACHE.strip("/")
_USERS, _GROUPS = "etc/passwd", "etc/group"
_LARGEST = 1024**2


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
    owned = (image.venv, image.code, *([BYTECODE_CACHE] if image.bytecode == "cache" else []))
    places = sorted({path for place in owned for path in above(place.strip("/"))})
    user = str(image.user or base.config.run.get("User") or "")
    if base.digest is None or base.store is None or _is_all_roots(user, places):
        return Directories()
    facts = {"base": base.digest, "places": places}
    key = key_of(facts | ({"user": user} if _CACHE in places else {}))
    told = next((one for one in known if one.key == key), None)
    return told or Directories(key, _read(base.store, base.layers, places, base.digest, user))


def _is_all_roots(user: str, places: Collection[str]) -> bool:
    """Whether nobody but root runs there, who may do everything anyway."""
    return user.partition(":")[0] in _ROOT and "home" not in places


def _read(
    store: Store, layers: Iterable[Descriptor], places: Collection[str], base: Digest, user: str
) -> dict[str, Directory]:
    found, told = _last_words(store, layers, places)
    for place, one in found.items():
        if one is None:
            why = f"base {base.short} has a file or a link there, which a layer would replace"
            raise BuildRefused(shown(f"/{place}"), why, "choose another place for `venv` and `code`")
    if _CACHE in places:
        found[_CACHE] = Directory(0o755, *_numbers(user, told, base))
    usual = {place: Directory(DIRECTORY_MODES.get(place, 0o755)) for place in found}
    return {place: one for place, one in found.items() if one is not None and one != usual[place]}


def _last_words(
    store: Store, layers: Iterable[Descriptor], places: Collection[str]
) -> tuple[dict[str, Directory | None], dict[str, str]]:
    """What is at these places once all layers lie there, and the texts that name users and groups."""
    found: dict[str, Directory | None] = {}
    told: dict[str, str] = {}
    for layer in layers:
        for path, what in _entries(store, layer):
            if path in (_USERS, _GROUPS):
                told[path] = what if isinstance(what, str) else ""
                continue
            head, name = posixpath.split(path)
            if name == OPAQUE:
                found = {place: one for place, one in found.items() if not place.startswith(f"{head}/")}
            elif name.startswith(WHITEOUT):
                gone = posixpath.join(head, name.removeprefix(WHITEOUT))
                found = {place: one for place, one in found.items() if gone not in above(place)}
            elif path in places:
                found[path] = what if isinstance(what, Directory) else None
    return found, told


def _numbers(user: str, told: Mapping[str, str], base: Digest) -> tuple[int, int]:
    """The numbers of `user[:group]`, as an engine finds them: by the base's own lists."""
    name, _, group = user.partition(":")
    row = _row(told.get(_USERS, ""), name)
    uid, gid = (row[2], row[3]) if len(row) > 3 else (name, "0")
    if group:
        row = _row(told.get(_GROUPS, ""), group)
        gid = row[2] if len(row) > 2 else group
    if not (uid.isdecimal() and gid.isdecimal()):
        why = f"base {base.short} has no such user in /{_USERS}, or no such group in /{_GROUPS}"
        raise BuildRefused(shown(user), why, 'name them by their numbers in `image.user`: "1000:1000"')
    return int(uid), int(gid)


def _row(text: str, name: str) -> list[str]:
    """The row of somebody who is called so, or has this number."""
    rows = [line.split(":") for line in text.splitlines()]
    named = next((row for row in rows if row[0] == name), None)
    return named or next((row for row in rows if row[2:3] == [name]), [])


def _entries(store: Store, layer: Descriptor) -> Iterator[tuple[str, Directory | str | None]]:
    """The paths in a layer, in their order; with the directory that is there, if it is one, or the text of a list."""
    try:
        with store.blob(layer.digest) as blob, tarfile.open(fileobj=unpacked(blob, layer.media_type), mode="r|") as tar:
            for one in tar:
                path = posixpath.normpath(f"/{one.name}").lstrip("/")
                if (
                    path in (_USERS, _GROUPS)
                    and one.isreg()
                    and one.size <= _LARGEST
                    and (file := tar.extractfile(one))
                ):
                    yield path, file.read().decode("utf-8", "replace")
                else:
                    yield path, Directory(one.mode & 0o7777, one.uid, one.gid) if one.isdir() else None
    except BROKEN as error:
        raise BuildRefused(f"layer {layer.digest.short}", f"it cannot be read: {error}") from error
