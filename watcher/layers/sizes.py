"""How large a package is as it travels, from its index: of a wheel, its file; much like its layer."""

from watcher.pin import Pin
from watcher.release import File, Release
from watcher.target import Several, Target
from watcher.wheels import Wheels

TYPICAL = 200_000
"""Bytes, where an index does not tell."""


def packed_size(pin: Pin, release: Release, target: Target) -> int | None:
    """Bytes of the file that the target would install; None if there is none, or if the index does not tell.

    Of several targets it is that of the first.
    """
    target = target.targets[0] if isinstance(target, Several) else target
    files = target.fit(pin, release).files
    if not files:
        return None
    return _best(files, target).size


def _best(files: tuple[File, ...], target: Target) -> File:
    return min(files, key=target.rank) if isinstance(target, Wheels) else files[0]
