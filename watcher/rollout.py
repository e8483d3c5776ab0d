"""A rollout: one commit becomes one image, and the image reaches every host of a fleet, or is taken back."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

from watcher.entry import Entry
from watcher.errors import Refused
from watcher.image import Digest
from watcher.inert import inert


class RolloutStage(StrEnum):
    """The life of a rollout: wanted → built → rolling → done, or one of the three other ends."""

    WANTED = "wanted"
    BUILT = "built"
    ROLLING = "rolling"
    DONE = "done"
    HALTED = "halted"
    ROLLED_BACK = "rolled back"
    SUPERSEDED = "superseded"

    @property
    def is_open(self) -> bool:
        """Whether it still goes forward by itself."""
        return self in (RolloutStage.WANTED, RolloutStage.BUILT, RolloutStage.ROLLING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What a build made, in the units that people ask about.

    `size` is what a host without anything pulls (bytes, compressed, with manifest and configuration); `new_size` what
    the layers weigh that a host has to download which ran the previous image (on a classic host all of them, when they
    come to lie on another base); `pushed` what really travelled to the registry. `foreseen` is what the builder thought
    beforehand that a host would pull, if it did, `told` what else it said then, and `warning` what a person should know
    of it: instructions that made more anew than they had to, files that several packages have. `timings` are the
    seconds of the commands of a Dockerfile that were run, by their texts. `base` is what the name of the base stood for
    (the digest of an index, if it is for several platforms), where that is in a registry.
    """

    image: Digest
    layers: int
    new_layers: int
    size: int
    new_size: int
    pushed: int
    seconds: float
    foreseen: int | None = None
    told: tuple[str, ...] = ()
    warning: str = ""
    timings: Mapping[str, float] = field(default_factory=dict)
    base: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout(Entry):
    """One image's way to a fleet. `generation` grows by one per rollout of an app; hosts refuse an older one.

    `commit` is what the image is built from; `image` is known from BUILT on. `cause` says why it exists: a commit, or
    a person's `deploy` or `rollback`. An `urgent` one waits for no hour, no soak and no approval. A `held` rollout is
    built and then waits for `toplayer deploy`. `wave` counts the waves that have been opened, `approved` is the last
    one that a person approved. Times are UTC; `released_at` is the oldest upstream release that this commit brings,
    `merged_at` when the commit was made.
    """

    id: str
    app: str
    generation: int
    commit: str
    stage: RolloutStage = RolloutStage.WANTED
    cause: str = "commit"
    held: bool = False
    urgent: bool = False
    image: Digest | None = None
    built: Built | None = None
    wave: int = 0
    approved: int = 0
    merged_at: datetime | None = None
    released_at: datetime | None = None
    wanted_at: datetime
    built_at: datetime | None = None
    rolling_at: datetime | None = None
    wave_at: datetime | None = None
    done_at: datetime | None = None

    @staticmethod
    def id_of(app: str, generation: int) -> str:
        return f"{app}:{generation}"

    @property
    def name(self) -> str:
        return self.id

    def at(self, stage: RolloutStage, now: datetime, *, reason: str = "", built: Built | None = None) -> Self:
        """The rollout at its next stage, with a clean slate of attempts and the time noted."""
        return replace(
            self,
            stage=stage,
            reason=reason,
            attempts=0,
            due_at=None,
            built=built or self.built,
            image=built.image if built else self.image,
            built_at=now if stage is RolloutStage.BUILT else self.built_at,
            rolling_at=now if stage is RolloutStage.ROLLING else self.rolling_at,
            done_at=None if stage.is_open else now,
        )

    def with_wave(self, wave: int, now: datetime) -> Self:
        """The rollout with its next wave open."""
        return replace(self, wave=wave, wave_at=now, reason="")

    def refused(self, now: datetime, error: Refused) -> Self:
        return self.at(RolloutStage.HALTED, now, reason=inert(str(error)))


class HostStage(StrEnum):
    """Where one host is in one rollout.

    pending → called → fetched → swapping → proving → done; what fails goes failed → returning → returned, or ends as
    stuck. What fails before anything was touched is returned at once: it runs what it ran. Where bytes travel before a
    host's turn: pending → ahead → ready → fetched. One that is fetched has not been touched, and waits for its hour;
    that it is swapping stands here before it is. A host that was done when its rollout halted goes done → recalled →
    returning.
    """

    PENDING = "pending"
    AHEAD = "ahead"
    READY = "ready"
    CALLED = "called"
    FETCHED = "fetched"
    SWAPPING = "swapping"
    PROVING = "proving"
    DONE = "done"
    RECALLED = "recalled"
    FAILED = "failed"
    RETURNING = "returning"
    RETURNED = "returned"
    STUCK = "stuck"

    @property
    def is_moving(self) -> bool:
        """Whether something on the host is under way."""
        return self not in (HostStage.PENDING, HostStage.READY, *_ENDS)

    @property
    def fetches(self) -> bool:
        """Whether the image is on its way to the host."""
        return self in (HostStage.CALLED, HostStage.AHEAD)

    @property
    def goes_back(self) -> bool:
        """Whether the host is on its way to what it ran before, whatever becomes of the rollout."""
        return self in (HostStage.RECALLED, HostStage.FAILED, HostStage.RETURNING)

    @property
    def is_touched(self) -> bool:
        """Whether the host may run, or may have run, the new image."""
        return self not in _UNTOUCHED


_UNTOUCHED = (HostStage.PENDING, HostStage.CALLED, HostStage.AHEAD, HostStage.READY, HostStage.FETCHED)
_ENDS = (HostStage.DONE, HostStage.RETURNED, HostStage.STUCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostState(Entry):
    """One host in one rollout. `previous` is the digest that it ran when it was called (None: nothing), and `found` the
    generation that had been at work there. `midway`: the rollout before left it in the middle of something, or on its
    way back, and this one has not touched it yet; `previous` is then what it ran before that.

    `bytes` is what really travelled to the host (compressed layers, configuration, manifest); `seconds` the
    time from the call to the end. Of these, `pull_seconds` went into the pull, `swap_seconds` into stopping the old and
    starting the new, and `healthy_seconds` is how long the new one took to prove itself. All are None until known.

    `restarts` is how often the engine had started what runs again by the time that it was proven. `pulling_since` is
    since when the host has been bringing the image to itself, so that nobody waits for it (None: it is not, as far as
    is known). `inspected_at` is when the host was last asked what it really runs, and `drift` what was not as it should
    be then.
    """

    rollout: str
    host: str
    position: int
    stage: HostStage = HostStage.PENDING
    previous: Digest | None = None
    found: int = 0
    midway: bool = False
    restarts: int = 0
    bytes: int | None = None
    seconds: float | None = None
    pull_seconds: float | None = None
    swap_seconds: float | None = None
    healthy_seconds: float | None = None
    called_at: datetime | None = None
    since: datetime | None = None
    pulling_since: datetime | None = None
    inspected_at: datetime | None = None
    drift: str = ""

    @staticmethod
    def id_of(rollout: str, host: str) -> str:
        return f"{rollout}:{host}"

    @property
    def name(self) -> str:
        return self.id_of(self.rollout, self.host)

    def at(self, stage: HostStage, now: datetime, *, reason: str = "") -> Self:
        """The host at its next stage. Arriving at an end notes the seconds since the call."""
        called_at = now if stage.fetches or self.called_at is None else self.called_at
        proven = self.stage is HostStage.PROVING and stage is HostStage.DONE and self.since is not None
        return replace(
            self,
            stage=stage,
            reason=reason,
            attempts=0,
            due_at=None,
            since=now,
            pulling_since=None,
            midway=self.midway and not stage.is_touched,
            called_at=None if stage is HostStage.PENDING else called_at,
            seconds=(now - called_at).total_seconds() if stage in _ENDS and self.called_at else self.seconds,
            healthy_seconds=(now - self.since).total_seconds() if proven and self.since else self.healthy_seconds,
            inspected_at=now if stage is HostStage.DONE else self.inspected_at,
            drift="" if stage is HostStage.DONE else self.drift,
        )

    def called(self, stage: HostStage, now: datetime) -> Self:
        """The host as it is called, or fetches ahead: how often that was in vain counts until it has answered."""
        return replace(self.at(stage, now), attempts=self.attempts)

    def after(self, rollout: str, *, halted: bool) -> "HostState":
        """The host in the rollout that comes next. What this one, if it was `halted`, owes it goes on to that."""
        settled = (HostStage.RETURNED, HostStage.STUCK) if halted else _ENDS
        owed = self.midway or (self.stage.is_touched and self.stage not in settled)
        previous = self.previous if owed else None
        return HostState(rollout=rollout, host=self.host, position=self.position, midway=owed, previous=previous)

    def refused(self, now: datetime, error: Refused) -> Self:
        if not self.stage.is_touched:
            # `previous` may not be known yet, and a host is never put back to what it did not run.
            stage = HostStage.RETURNED
        else:
            stage = HostStage.STUCK if self.stage.goes_back else HostStage.FAILED
        return self.at(stage, now, reason=inert(str(error)))
