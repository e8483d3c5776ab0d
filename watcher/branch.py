"""What the branches of ours are called. Names from outside are inert in them."""

import hashlib
import re
from collections.abc import Iterable

from watcher.bump import Bump

OURS = "toplayer/"
"""What the names of our own branches begin with. Only these are ever rewritten."""


def branch_of(app: str, package: str, group: str = "") -> str:
    """The branch for a package of an app: `toplayer/<app>/<package>`, always a valid name, and never the same twice.

    The app is in it because several apps can live in one repository, each with a lock of its own. A group has its own
    name in place of the package's, with a mark that no package has.
    """
    return f"{place_of(app)}{_part(group)}+group" if group else f"{place_of(app)}{_part(package)}"


def place_of(app: str) -> str:
    """What the names of all branches of an app begin with."""
    return f"{OURS}{_part(app)}/"


def claimed(bumps: Iterable[Bump]) -> frozenset[str]:
    """The branches that open bumps have, and those that they will have.

    A branch may have been pushed before its bump could note it: the next attempt finds it there.
    """
    return frozenset(name for bump in bumps for name in (bump.branch, branch_of(bump.app, bump.package, bump.group)))


def _part(name: str) -> str:
    """`name`, or what can stand for it in a ref: git-check-ref-format(1)."""
    if _PLAIN.fullmatch(name):
        return name
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:60].strip("-") or "package"
    return f"{safe}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


_PLAIN = re.compile(r"(?!.*(?:\.lock|\.)$)(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
