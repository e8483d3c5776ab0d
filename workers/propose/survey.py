"""A survey: what stands at the tip of an app's branch, and which branches are ours."""

from dataclasses import replace
from datetime import datetime

from watcher import lockfiles
from watcher.head import Head
from watcher.settings import AppSettings
from workers.git import Repository


def survey(head: Head, app: AppSettings, repository: Repository, now: datetime) -> Head:
    """`head` as it is now. Raises `LockfileUnreadable`, also for a lockfile that is not there, and git's errors."""
    seen = repository.fetch()
    pins = lockfiles.read_all(app.pinned_in, lambda path: repository.read(seen.tip, path))
    return replace(
        head,
        commit=seen.tip,
        committed_at=seen.committed_at,
        surveyed_at=now,
        pins=tuple(filter(app.image.follows, pins)),
        branches=tuple(sorted(seen.branches.items())),
        reason="",
        attempts=0,
        due_at=None,
    )
