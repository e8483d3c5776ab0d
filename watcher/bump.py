"""A bump: a pin moves from one version to another, and its group with it. It ends when they have, or will not."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

from watcher.entry import Entry
from watcher.errors import Refused, Unfit
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


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """One package of a bump, and its way."""

    package: str
    from_version: str
    to_version: str

    def __str__(self) -> str:
        return f"{self.package} {self.from_version} → {self.to_version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bump(Entry):
    """One pin's way from `from_version` to `to_version`, and of those that move with it: `parts` are all of them.

    `group` is what the policy calls packages that move together; the first of them by name gives the bump its
    `package`, and `others` are the rest. `advisories` are those that it fixes: a bump with any goes before the others.
    `by` is the person who ordered it, whatever the policy says; empty: the policy found it.

    `branch` and `commit` say where the change is, once it is proposed; `commit` is the merge's once it is merged.
    `proposal` is the number of its pull request and `url` its address, where there is one. `basis` is what it was tried
    on when it failed: while that is the same, it would fail again.
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
    proposal: int = 0
    url: str = ""
    why: str = ""
    group: str = ""
    others: tuple[Part, ...] = ()
    advisories: tuple[str, ...] = ()
    by: str = ""
    basis: str = ""

    @staticmethod
    def id_of(app: str, package: str, to_version: str) -> str:
        """The same bump has the same id however often it is found."""
        return f"{app}:{package}:{to_version}"

    @staticmethod
    def id_of_group(app: str, group: str, parts: Sequence[Part]) -> str:
        """The same for a bump of several packages: by the versions that they go to."""
        words = " ".join(f"{part.package}=={part.to_version}" for part in sorted(parts))
        return f"{app}:{group}:{hashlib.sha256(words.encode()).hexdigest()[:10]}"

    @property
    def parts(self) -> tuple[Part, ...]:
        """Every package that moves, by name."""
        return tuple(sorted((Part(self.package, self.from_version, self.to_version), *self.others)))

    @property
    def name(self) -> str:
        return self.id

    @property
    def subject(self) -> str:
        """What moves: the group, or the package. A newer bump of the same takes the place of an older one."""
        return f"group:{self.group}" if self.group else self.package

    @property
    def key(self) -> str:
        """The same for the same bump, and another one when it is opened again after its end: 16 hexadecimal digits."""
        return hashlib.sha256(f"{self.id} {self.found_at.timestamp():.0f}".encode()).hexdigest()[:16]

    def at(
        self,
        stage: BumpStage,
        now: datetime,
        *,
        reason: str = "",
        branch: str = "",
        commit: str = "",
        proposal: int = 0,
        url: str = "",
    ) -> Self:
        """The bump at its next stage, with a clean slate of attempts."""
        return replace(
            self,
            stage=stage,
            reason=reason,
            attempts=0,
            due_at=None,
            branch=branch or self.branch,
            commit=commit or self.commit,
            proposal=proposal or self.proposal,
            url=url or self.url,
            proposed_at=now if stage is BumpStage.PROPOSED else self.proposed_at,
            ended_at=None if stage.is_open else now,
        )

    def refused(self, now: datetime, error: Refused) -> Self:
        """The bump after a step that a person has to mend. What is no fault of the release costs no version anything:
        the bump waits for a new token, room on a disk, a tool.
        """
        if isinstance(error, Unfit):
            return self.at(BumpStage.FAILED, now, reason=inert(error.advice))
        return Entry.refused(self, now, error)
