"""Wheels that were built here, kept for the next time: each by the key of everything that it depends on."""

import contextlib
import os
import shutil
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from workers.image.errors import BuildRefused
from workers.image.wheel import Wheel, read_wheel

_KEPT = timedelta(days=90)
_NEW = ".new-"


class WheelCache:
    """A directory that may be deleted at any time, and shared by processes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def find(self, key: str, package: str, version: str, now: datetime) -> Wheel | None:
        """The wheel, whole to its last byte. One that a disk or a crash has spoiled is thrown away."""
        place = self._directory / key
        for file in place.glob("*.whl"):
            with contextlib.suppress(BuildRefused):
                found = proven(file, package, version)
                os.utime(place, (now.timestamp(), now.timestamp()))
                return found
        shutil.rmtree(place, ignore_errors=True)
        return None

    def keep(self, key: str, wheel: Wheel, now: datetime) -> None:
        """Keeps a copy, whole or not at all; what nobody has asked for in 90 days goes."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._prune(now)
        new = Path(tempfile.mkdtemp(dir=self._directory, prefix=_NEW))
        try:
            shutil.copyfile(wheel.path, new / wheel.path.name)
            _settled(new / wheel.path.name)
            _settled(new)
            os.utime(new, (now.timestamp(), now.timestamp()))
            # If somebody else was faster, theirs is as good.
            with contextlib.suppress(OSError):
                new.rename(self._directory / key)
                _settled(self._directory)
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def _prune(self, now: datetime) -> None:
        for place in self._directory.iterdir():
            with contextlib.suppress(OSError):
                age = now - datetime.fromtimestamp(place.stat().st_mtime, now.tzinfo)
                # One that is new after a day is a dead process's.
                if age > (timedelta(days=1) if place.name.startswith(_NEW) else _KEPT):
                    shutil.rmtree(place)


def proven(path: Path, package: str, version: str) -> Wheel:
    """The wheel at `path` (see `read_wheel`), all of whose bytes are what it says of them."""
    wheel = read_wheel(path, package, version)
    for file in wheel.files.values():
        for _ in file.chunks():
            pass
    return wheel


def _settled(path: Path) -> None:
    """Waits until it is on the disk: what has a name after a crash has its bytes."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
