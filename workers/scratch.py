"""A directory to work in for a while. What a killed process left behind, the next one takes away."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_LOCK = "lock"


@contextlib.contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """A directory of its own under `parent`, which is only for such directories. It holds a file named `lock`.

    Gone afterwards, whatever happens: its user holds that file locked, so one that nobody holds is a dead process's,
    and is deleted by whoever comes next. Raises `OSError`.
    """
    parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as until_the_end:
        with _held(parent / _LOCK):
            _sweep(parent)
            mine = Path(tempfile.mkdtemp(dir=parent))
            until_the_end.enter_context(_held(mine / _LOCK))
            until_the_end.callback(shutil.rmtree, mine, ignore_errors=True)
        yield mine


def _sweep(parent: Path) -> None:
    for other in filter(Path.is_dir, parent.iterdir()):
        # In use, or gone while we looked: not our business. One without a lock file is a dead process's, too: the
        # parent's lock is held while it gets one.
        with contextlib.suppress(OSError), _held(other / _LOCK, wait=False):
            shutil.rmtree(other, ignore_errors=True)


@contextlib.contextmanager
def _held(file: Path, *, wait: bool = True) -> Iterator[None]:
    """Holds a lock that ends with the process. A `BlockingIOError` if somebody has it, and we do not wait."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)
