"""Why something was, or was not, proposed: kept, so that `why` can also answer for last Tuesday."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Verdict(StrEnum):
    """What became of one release, or of a package as a whole."""

    TAKEN = "taken"
    HELD = "held"
    REFUSED = "refused"
    CURRENT = "current"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One release that was considered: the rule that spoke, what it said, and when it stops saying so (UTC)."""

    version: str
    verdict: Verdict
    rule: str
    said: str
    free_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The choice for one pin at one time.

    `newest` is the newest version on the index whatever the policy says, `candidate` what the policy would have (empty:
    nothing), `said` the one line of why. `reasons` holds every release newer than the pin, newest first.
    """

    app: str
    package: str
    at: datetime
    current: str
    newest: str
    candidate: str
    verdict: Verdict
    said: str
    reasons: tuple[Reason, ...] = ()

    def same_as(self, other: "Decision | None") -> bool:
        """Whether the other decision says the same, whenever it was made."""
        if other is None:
            return False
        mine = (self.app, self.package, self.current, self.newest, self.candidate, self.verdict, self.reasons)
        return mine == (
            other.app,
            other.package,
            other.current,
            other.newest,
            other.candidate,
            other.verdict,
            other.reasons,
        )
