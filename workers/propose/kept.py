"""What lock tools keep from one time to the next, so that they need not ask for all of it again; but not for ever."""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

KEPT_FOR = timedelta(days=30)
_SINCE = ".toplayer-since"


@contextlib.contextmanager
def kept(state: Path, names: Iterable[str]) -> Iterator[list[Path]]:
    """Directories of these names in `state`, for a while. Raises `OSError`.

    One that was begun a month ago is begun anew, if nobody else works with any of them at the moment.
    """
    places = [state / name for name in names]
    state.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(state / "kept.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for place in filter(_is_old, places):
                shutil.rmtree(place, ignore_errors=True)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        for place in places:
            place.mkdir(exist_ok=True)
            with contextlib.suppress(FileExistsError):
                (place / _SINCE).touch(exist_ok=False)
        yield places
    finally:
        os.close(descriptor)


def _is_old(place: Path) -> bool:
    try:
        return (place / _SINCE).stat().st_mtime < time.time() - KEPT_FOR.total_seconds()
    except FileNotFoundError:
        return False
