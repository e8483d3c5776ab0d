"""A survey: what stands at the tip of an app's branch, and which branches are ours."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial

from watcher import lockfiles
from watcher.errors import LockfileUnreadable
from watcher.head import Head
from watcher.image import Digest
from watcher.inert import inert
from watcher.known import digest
from watcher.lockfiles.dockerfile import name_of
from watcher.pin import CONFIGURED, Pin
from watcher.settings import AppSettings
from watcher.versions.digest import BY_TAG
from workers.git import Repository


def survey(
    head: Head, app: AppSettings, repository: Repository, now: datetime, stands_on: Digest | None = None
) -> Head:
    """`head` as it is now. Raises `LockfileUnreadable`, also for a lockfile that is not there, and git's errors.

    A lock that is in no image is read as far as it can be. `stands_on` is what the newest image has as its base.
    """
    seen = repository.fetch()
    basis = digest(seen.tip, app.pinned_in, app.in_step, app.image, stands_on)
    if basis != head.basis:
        head = _read(head, app, partial(repository.read, seen.tip), stands_on)
    return replace(
        head,
        commit=seen.tip,
        committed_at=seen.committed_at,
        surveyed_at=now,
        branches=tuple(sorted(seen.branches.items())),
        basis=basis,
        reason="",
        attempts=0,
        due_at=None,
    )


def _read(head: Head, app: AppSettings, read: Callable[[str], bytes | None], stands_on: Digest | None) -> Head:
    """`head` with the pins that are there."""
    pins = (*lockfiles.read_all(app.pinned_in, read), *_base(app, stands_on))
    beside, remark = _beside(app, read)
    return replace(
        head,
        pins=tuple(filter(app.image.follows, pins)),
        beside=tuple(pin for pin in beside if pin not in pins),
        remark=remark,
    )


def _base(app: AppSettings, stands_on: Digest | None) -> Iterator[Pin]:
    """The base, if it is the configuration that names it."""
    named = app.image.base_image
    if named is not None:
        version, constraint = str(named.digest or stands_on or BY_TAG), str(named.digest or "")
        yield Pin(
            ecosystem="oci",
            package=name_of(named),
            version=version,
            lock="",
            constraint=constraint,
            source=CONFIGURED,
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
