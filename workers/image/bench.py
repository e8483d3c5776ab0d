"""Throwaway directories that really are thrown away: also those of a process that was killed."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "build-"


@contextlib.contextmanager
def bench(parent: Path) -> Iterator[Path]:
    """A directory of our own below `parent`, until the block ends. What the dead have left there goes, too.

    A lock on the directory says that its owner lives; the kernel lets go of it when the owner does not.
    """
    parent.mkdir(parents=True, exist_ok=True)
    with _locked(parent, fcntl.LOCK_EX):
        for left in parent.glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError), _locked(left, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(left)
        mine = contextlib.ExitStack()
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        mine.enter_context(_locked(path, fcntl.LOCK_EX))
    with mine:
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _locked(directory: Path, how: int) -> Iterator[None]:
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)
