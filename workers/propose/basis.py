"""What a commit of ours stands on: the locks of its parent, with all that they are read with."""

from collections.abc import Sequence

from watcher import lockfiles
from workers.git import Commit, Repository


def same_locks(locks: Sequence[str], one: str, other: str, repository: Repository) -> bool:
    """Whether two commits have the same lockfiles, and the same in every file that these are read with."""

    def texts(lock: str, at: str) -> dict[str, str]:
        return lockfiles.sources(lock, lambda path: repository.read(at, path))

    return all(texts(lock, one) == texts(lock, other) for lock in locks)


def means_the_same(locks: Sequence[str], commit: Commit, tip: str, repository: Repository) -> bool:
    """Whether the locks that a commit was made for still say the same beside the other files of the tip.

    A manifest, or a file that is included, may ask for something else there without any line of a lock being another.
    """

    def same(lock: str, parent: str) -> bool:
        then = lockfiles.read(lock, lambda path: repository.read(parent, path))
        now = lockfiles.read(lock, lambda path: repository.read(parent if path == lock else tip, path))
        return then == now

    return all(same(lock, parent) for lock in locks for parent in commit.parents[:1])
