"""Why something was, or was not, proposed: kept, so that `why` can also answer for last Tuesday."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

Subject = tuple[str, str]
"""What a decision is about: a package, and the version that is pinned."""


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
    nothing), `said` the one line of why. `reasons` holds every release newer than the pin, newest first. `index` is the
    one that answers for the package. `advisories` are the names of those that affect `current`, and `fixes` those of
    them that do not affect `candidate`. `flaw` is what is wrong with the release of `current`, and `status` what the
    index calls the project as a whole; both are empty if all is well.
    """

    app: str
    package: str
    at: datetime
    current: str
    newest: str
    candidate: str
    verdict: Verdict
    said: str
    reasons: Sequence[Reason] = ()
    index: str = ""
    advisories: tuple[str, ...] = ()
    fixes: tuple[str, ...] = ()
    flaw: str = ""
    status: str = ""

    @property
    def subject(self) -> Subject:
        """What it is about, in its app."""
        return self.package, self.current

    def same_as(self, other: "Decision | None") -> bool:
        """Whether the other decision says the same, whenever it was said."""
        return other is not None and self == replace(other, at=self.at)

    @property
    def free_at(self) -> datetime | None:
        """The first time at which a release that is held becomes free (UTC), if there is one."""
        return min((reason.free_at for reason in self.reasons if reason.free_at), default=None)
