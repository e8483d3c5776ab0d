"""What is said of a bump in its commit. Names from outside are inert in it."""

from collections.abc import Collection

from watcher.bump import Bump
from watcher.inert import inert
from watcher.lockfiles.diff import LockDiff
from watcher.units import brief
from workers.git import Commit

TRAILER = "Toplayer-Bump"
"""The key of the line in a commit message that says which bump the commit is."""


def is_ours(commit: Commit, author: str, known: Collection[str]) -> bool:
    """Whether we wrote the commit, and nobody touched it since: it is one that the ledger knows, or has our trailer and
    `author` for its author and committer, at the same second."""
    return commit.id in known or bool(commit.trailer(TRAILER) and commit.is_untouched_by(author))


def subject_of(bump: Bump, come_from: str = "") -> str:
    """One line for the bump: the first of its commit, and the title of its proposal."""
    if bump.others:
        return f"Bump {_line(bump.group or bump.package)}: {brief(', '.join(_line(str(part)) for part in bump.parts))}"[
            :250
        ]
    before = come_from or bump.from_version
    if not before:
        return brief(f"Pin {_line(bump.package)} to {_line(bump.to_version)}")
    return brief(f"Bump {_line(bump.package)} from {_line(before)} to {_line(bump.to_version)}")


def message_of(bump: Bump, diff: LockDiff) -> str:
    """The commit message: the move, what else moved because of it, and whose work it is."""
    mine = next((change for change in diff.changed if change.after.package == bump.package), None)
    come_from = mine.before.version if mine else bump.from_version
    lines = [subject_of(bump, come_from), ""]
    others = [
        *(f"{c.after.package} {c.before.version} → {c.after.version}" for c in diff.changed if c is not mine),
        *(f"{pin.package} {pin.version}, new" for pin in diff.added),
        *(f"{pin.package} {pin.version}, no longer needed" for pin in diff.removed),
    ]
    if others:
        lines += ["Moved with it:", *(f"- {_line(other)}" for other in others), ""]
    return "\n".join([*lines, f"{TRAILER}: {_line(bump.id)}", ""])


def _line(text: str) -> str:
    return " ".join(inert(text, 200).split())
