"""Unpacked layers, from the bottom up → the tree that a container of the image would see.

Follows the OCI image specification's rules for applying changesets (layer.md, "Whiteouts"). Files are hard links into
their layer, so that a release costs next to nothing; directories and symbolic links are the release's own.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from workers.fleet.unpack import OPAQUE, RESERVED, WHITEOUT


def stack(layers: Iterable[Path], into: Path) -> None:
    """Lays the layers over each other into the empty directory `into`, on the same file system."""
    for layer in layers:
        _lay(layer, into)


def _lay(layer: Path, into: Path) -> None:
    places = [(layer, into)]
    while places:
        source, target = places.pop()
        target.chmod(source.stat().st_mode & 0o7777)
        with os.scandir(source) as found:
            entries = list(found)
        _white_out(entries, target)
        for entry in entries:
            if entry.name.startswith(WHITEOUT):
                continue
            place = target / entry.name
            if entry.is_dir(follow_symlinks=False):
                if place.is_symlink() or not place.is_dir():
                    remove(place)
                    place.mkdir()
                places.append((Path(entry.path), place))
                continue
            remove(place)
            if entry.is_symlink():
                place.symlink_to(Path(entry.path).readlink())
            else:
                os.link(entry.path, place, follow_symlinks=False)


def _white_out(entries: Iterable[os.DirEntry[str]], target: Path) -> None:
    """What the layers below have and this one takes away. `target` is a real directory, never a link to one."""
    names = {entry.name for entry in entries}
    if OPAQUE in names:
        for place in target.iterdir():
            remove(place)
    for name in names:
        if name.startswith(WHITEOUT) and not name.startswith(RESERVED):
            remove(target / name.removeprefix(WHITEOUT))


def remove(place: Path) -> None:
    """Removes whatever is there, and follows no link."""
    if place.is_symlink() or not place.is_dir():
        place.unlink(missing_ok=True)
    else:
        shutil.rmtree(place)
