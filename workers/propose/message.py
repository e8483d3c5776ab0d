"""How a bump is called: its branch, and its commit. Names from outside are inert in both."""

import hashlib
import re

from watcher.bump import Bump
from watcher.inert import inert
from watcher.lockfiles.diff import LockDiff
from watcher.units import brief
from workers.git import OURS

TRAILER = "Toplayer-Bump"
"""The key of the line in a commit message that says which bump the commit is."""


def branch_of(app: str, package: str, group: str = "") -> str:
    """The branch for a package of an app: `toplayer/<app>/<package>`, always a valid name, and never the same twice.

    The app is in it because several apps can live in one repository, each with a lock of its own. A group has its own
    name in place of the package's, with a mark that no package has.
    """
    return f"{place_of(app)}{_part(group)}+group" if group else f"{place_of(app)}{_part(package)}"


def place_of(app: str) -> str:
    """What the names of all branches of an app begin with."""
    return f"{OURS}{_part(app)}/"


def _part(name: str) -> str:
    """`name`, or what can stand for it in a ref: git-check-ref-format(1)."""
    if _PLAIN.fullmatch(name):
        return name
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:60].strip("-") or "package"
    return f"{safe}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


_PLAIN = re.compile(r"(?!.*(?:\.lock|\.)$)(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


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
