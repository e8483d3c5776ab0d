"""A bump: one pin moves from one version to another. It ends when the pin has moved, or will not."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

from watcher.entry import Entry
from watcher.errors import Refused
from watcher.inert import inert


class BumpStage(StrEnum):
    """The life of a bump: found → proposed → merged, or one of the three other ends."""

    FOUND = "found"
    PROPOSED = "proposed"
    MERGED = "merged"
    CLOSED = "closed"
    SUPERSEDED = "superseded"
    FAILED = "failed"

    @property
    def is_open(self) -> bool:
        """Whether anything can still come of it."""
        return self in (BumpStage.FOUND, BumpStage.PROPOSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bump(Entry):
    """One pin's way from `from_version` to `to_version`.

    `branch` and `commit` say where the change is, once it is proposed; `commit` is the merge's once it is merged.
    Times are UTC. `released_at` is the upstream release's, or None where the index does not tell.
    """

    id: str
    app: str
    ecosystem: str
    package: str
    from_version: str
    to_version: str
    stage: BumpStage = BumpStage.FOUND
    found_at: datetime
    released_at: datetime | None = None
    proposed_at: datetime | None = None
    ended_at: datetime | None = None
    branch: str = ""
    commit: str = ""
    why: str = ""

    @staticmethod
    def id_of(app: str, package: str, to_version: str) -> str:
        """The same bump has the same id however often it is found."""
        return f"{app}:{package}:{to_version}"

    @property
    def name(self) -> str:
        return self.id

    def at(self, stage: BumpStage, now: datetime, *, reason: str = "", branch: str = "", commit: str = "") -> Self:
        """The bump at its next stage, with a clean slate of attempts."""
        return replace(
            self,
            stage=stage,
            reason=reason,
            attempts=0,
            due_at=None,
            branch=branch or self.branch,
            commit=commit or self.commit,
            proposed_at=now if stage is BumpStage.PROPOSED else self.proposed_at,
            ended_at=None if stage.is_open else now,
        )

    def refused(self, now: datetime, error: Refused) -> Self:
        return self.at(BumpStage.FAILED, now, reason=inert(str(error)))
