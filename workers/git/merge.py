"""Whether a change still fits on what is there now: git's three-way merge of files, without a work tree."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from workers.git.mirror import Mirror, on_disk
from workers.scratch import scratch


class _Change(NamedTuple):
    """A file that differs between two commits: its blobs before and after (empty: there is none)."""

    path: str
    old: str
    new: str


def fits(mirror: Mirror, before: str, after: str, onto: str, place: Path) -> bool:
    """Whether what differs between the commits `before` and `after` can be brought onto `onto` without a person.

    All three have to be in the mirror; `place` is for scratch directories.
    """
    return all(_fits(mirror, change, onto, place) for change in _changes(mirror, before, after))


def _changes(mirror: Mirror, before: str, after: str) -> Iterator[_Change]:
    out = mirror.read("diff-tree", "-r", "-z", "--no-renames", before, after).split(b"\0")
    for head, path in zip(out[::2], out[1::2], strict=False):
        old, new = (blob if blob.strip("0") else "" for blob in head.decode().split()[2:4])
        yield _Change(os.fsdecode(path), old, new)


def _fits(mirror: Mirror, change: _Change, onto: str, place: Path) -> bool:
    mode, here, _ = next(iter(mirror.tree(onto, change.path)), ("100644", "", ""))
    if here in (change.old, change.new):
        return True
    if mode not in ("100644", "100755") or not (change.old and change.new and here):
        return False
    with on_disk(place), scratch(place) as directory:
        files = [directory / name for name in ("here", "old", "new")]
        for file, blob in zip(files, (here, change.old, change.new), strict=True):
            file.write_bytes(mirror.read("cat-file", "blob", blob))
        # It ends with the number of conflicts, or with 255 for what is no text.
        return mirror.git("merge-file", "-q", "-p", *map(str, files), accept=range(256)).code == 0
