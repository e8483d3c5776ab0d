"""A survey: what stands at the tip of an app's branch, and which branches are ours."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from watcher import lockfiles
from watcher.errors import LockfileUnreadable
from watcher.head import Head
from watcher.inert import inert
from watcher.pin import Pin
from watcher.settings import AppSettings
from workers.git import Repository


def survey(head: Head, app: AppSettings, repository: Repository, now: datetime) -> Head:
    """`head` as it is now. Raises `LockfileUnreadable`, also for a lockfile that is not there, and git's errors.

    A lock that is in no image is read as far as it can be.
    """
    seen = repository.fetch()

    def read(path: str) -> bytes | None:
        return repository.read(seen.tip, path)

    pins = lockfiles.read_all(app.pinned_in, read)
    beside, remark = _beside(app, read)
    return replace(
        head,
        commit=seen.tip,
        committed_at=seen.committed_at,
        surveyed_at=now,
        pins=tuple(filter(app.image.follows, pins)),
        beside=tuple(pin for pin in beside if pin not in pins),
        remark=remark,
        branches=tuple(sorted(seen.branches.items())),
        reason="",
        attempts=0,
        due_at=None,
    )


def _beside(app: AppSettings, read: Callable[[str], bytes | None]) -> tuple[list[Pin], str]:
    """The pins of the locks that are in no image, and which of these cannot be read: nothing else has to wait for that.

    A file that such a lock includes may be one of the image's: what it pins counts once.
    """
    found: list[Pin] = []
    unread: list[str] = []
    for path in app.in_step:
        try:
            found += lockfiles.read(path, read)
        except LockfileUnreadable as error:
            unread.append(inert(str(error)))
    return found, "; ".join(unread)
