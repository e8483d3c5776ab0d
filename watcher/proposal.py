"""A proposal: the pull request (or merge request) for a branch of ours, as its forge has it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from watcher.entry import Entry


class ProposalState(StrEnum):
    """What became of a proposal."""

    OPEN = "open"
    MERGED = "merged"
    CLOSED = "closed"


class Checks(StrEnum):
    """How those checks of a proposal's commit stand that count. NONE: there are none, or nobody wants to know."""

    NONE = "none"
    RUNNING = "running"
    GREEN = "green"
    RED = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One proposal. `number` is what its forge counts it by, `tip` the commit that it has at its head.

    `key` is the key of the bump that it was written for last. `behind`: its forge takes it only once it stands on the
    branch's tip. `queued`: its forge will merge it by itself. `merged_as` is the commit of the merge.
    """

    number: int
    url: str
    branch: str
    tip: str
    state: ProposalState = ProposalState.OPEN
    key: str = ""
    draft: bool = False
    checks: Checks = Checks.NONE
    behind: bool = False
    queued: bool = False
    merged_as: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tended:
    """A bump that waits to be merged, and what we did about it. `proposal` is None where there is no forge.

    `rebase` says why it has to be made anew on the branch's tip (empty: it need not). `readied_at`: when we took its
    draft away. `asked_at`: when its forge was last asked to merge it; `held`: why the forge did not. Times are UTC.
    """

    bump: str
    proposal: Proposal | None = None
    rebase: str = ""
    readied_at: datetime | None = None
    asked_at: datetime | None = None
    held: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposals(Entry):
    """The bumps of `app` that wait to be merged, as they were when they were last tended (`looked_at`, UTC).

    `kept` are the tips of branches of ours that no open bump has, and that are left alone: a person works there, or
    they belong to another app in the same repository.
    """

    app: str
    looked_at: datetime | None = None
    tended: tuple[Tended, ...] = ()
    kept: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.app

    def of(self, bump: str) -> Tended | None:
        """What is known of the bump with this id."""
        return next((known for known in self.tended if known.bump == bump), None)
