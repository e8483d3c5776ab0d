"""How the checks of a commit stand, where some of them count and others do not. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase

from watcher.proposal import Checks


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a commit. `app` is the number of the app that it comes from, or 0 where nobody can tell."""

    name: str
    state: Checks
    app: int = 0


@dataclass(frozen=True, slots=True)
class Required:
    """A check without which the forge does not merge. `app`: only from that one (0: from anybody).

    `is_pattern`: every check whose name fits is meant, with `*`, `?` and `[…]` as in names of files.
    """

    name: str
    app: int = 0
    is_pattern: bool = False

    def is_met_by(self, check: Check) -> bool:
        """Whether it is one that is meant. A check of which nobody knows the app is."""
        fits = self.is_pattern and fnmatchcase(check.name, self.name)
        return (fits or self.name == check.name) and (not self.app or check.app in (0, self.app))


def verdict(checks: Collection[Check], required: Collection[Required]) -> Checks:
    """The required checks in one word; where none is required, all of them.

    A required one that has not reported yet is on its way.
    """
    counted = [check for check in checks if not required or any(one.is_met_by(check) for one in required)]
    missing = any(not any(one.is_met_by(check) for check in counted) for one in required)
    states = {check.state for check in counted}
    if Checks.RED in states:
        return Checks.RED
    if Checks.RUNNING in states or missing:
        return Checks.RUNNING
    return Checks.GREEN if counted else Checks.NONE
