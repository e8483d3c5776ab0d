"""One step of one host in one rollout. What follows what stands in `watcher/decide`; here it is done."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from watcher import decide
from watcher.errors import Temporary
from watcher.image import Digest
from watcher.rollout import HostStage, HostState, Rollout
from watcher.units import span
from workers.fleet.host import Fenced, Health, Host, HostBusy, OnItsWay, Proof, Service, Tell, silent

AGAIN = timedelta(seconds=1)
"""After which a host that is still starting is looked at again; later after a third of the time that it has taken so
far, and never later than `LATEST`."""
LATEST = timedelta(seconds=15)
LATE = timedelta(minutes=1)
"""How much later than it was due a host may be looked at, by looks and queues as they are."""
PULLING = timedelta(seconds=5)
"""After which a host that brings the image to itself is asked how far it is, as long as it has not said anything."""
_ENDLESS = 1_000.0
"""How many times as long as until now the rest of a pull may take, before it makes no difference any more."""


def step(
    state: HostState,
    rollout: Rollout,
    host: Host,
    service: Service,
    within: timedelta,
    clock: Callable[[], datetime],
    tell: Tell = silent,
) -> HostState:
    """The host's state after its next step, forward or back. `within` is the time that a swapped image has to get well,
    and `tell` hears how far the bytes are.

    A host that is away when it is called is pending again. All other errors of the moves are raised, and what they
    mean for the state is the entry's own business. Whatever a step leaves undone, the same step does when repeated.
    """
    if rollout.image is None:
        raise ValueError(f"{rollout.id} has no image to roll")
    roll, began = _Roll(rollout, rollout.image, host, service, within, clock, tell), clock()
    try:
        return roll.next(state)
    except OnItsWay as so_far:
        return roll.pulling(state, began, so_far)
    except Temporary as error:
        if not state.stage.fetches or decide.goes_back(state, rollout):
            raise
        return decide.offline(state, clock(), error)


def watch(state: HostState, rollout: Rollout, host: Host, service: Service, clock: Callable[[], datetime]) -> HostState:
    """The state of a host that is done, looked at again while its rollout goes on. Errors of the host are raised."""
    if rollout.image is None:
        raise ValueError(f"{rollout.id} has no image to watch")
    return _Roll(rollout, rollout.image, host, service, timedelta(0), clock, silent).watched(state)


@dataclass(frozen=True, slots=True)
class _Roll:
    rollout: Rollout
    image: Digest
    host: Host
    service: Service
    within: timedelta
    clock: Callable[[], datetime]
    tell: Tell

    def next(self, state: HostState) -> HostState:
        """The state after its next move."""
        if decide.goes_back(state, self.rollout):
            return self.returning(state) if state.stage is HostStage.RETURNING else self.going_back(state)
        if state.stage.fetches:
            return self.called(state)
        if state.stage is HostStage.FETCHED:
            # A swap that was begun is finished at any hour, whoever dies; so it stands in the ledger before it is.
            return state.at(HostStage.SWAPPING, self.clock())
        return self.swapping(state) if state.stage is HostStage.SWAPPING else self.proving(state)

    def called(self, state: HostState) -> HostState:
        """Notes what runs, and fetches. Fetching touches nothing, so the note is written before anything is."""
        before = self.host.running(self.service)
        state = replace(state, found=before.generation)
        if before.generation > self.rollout.generation:
            fenced = Fenced(state.host, self.rollout.generation, before.generation)
            return replace(state.refused(self.clock(), fenced), reason=f"{fenced} ({fenced.hint})")
        state = replace(state, previous=before.image)
        if before.image == self.image and not before.differs:
            proof = self.host.prove(self.service, self.image, self.service.steady)
            if proof.health is Health.HEALTHY:
                return replace(self.done(state, proof), bytes=0)
        began = state.pulling_since or self.clock()
        travelled = self.host.fetch(self.service, self.image, self.tell)
        stage = HostStage.READY if state.stage is HostStage.AHEAD else HostStage.FETCHED
        after = state.at(stage, self.clock())
        return replace(after, bytes=travelled, pull_seconds=(self.clock() - began).total_seconds())

    def pulling(self, state: HostState, began: datetime, so_far: OnItsWay) -> HostState:
        """The host brings the image to itself, and nobody has to wait for it there.

        It is asked again after a third of the time that the rest takes, as far as its bytes tell: so a long pull is
        asked for seldom, and the end of a short one is not missed for long. (No more than a third, because the time
        until the first byte came makes the rest look longer than it is.)
        """
        now = self.clock()
        since = min(state.pulling_since or began, now)
        took = now - since
        # What a manifest says of its sizes may be anything; no more than the longest pause is made of it.
        left = min(max(so_far.known - so_far.gone, 0) / so_far.gone, _ENDLESS) if so_far.gone > 0 else None
        rest = max(3 * PULLING, took) if left is None else took * left
        later = min(max(rest / 3, took / 10, AGAIN), LATEST)
        reason = "" if state.stage.fetches else state.reason
        return replace(state, reason=reason, pulling_since=since, attempts=0, due_at=now + later)

    def swapping(self, state: HostState) -> HostState:
        began = self.clock()
        try:
            self.host.swap(self.service, self.image, self.rollout.generation)
        except HostBusy as error:
            return self.stopped_half_way(state, error)
        after = state.at(HostStage.PROVING, self.clock())
        return replace(after, swap_seconds=(self.clock() - began).total_seconds())

    def stopped_half_way(self, state: HostState, error: HostBusy) -> HostState:
        """A swap that the host cannot go on with now. It may have stopped what ran, so there is an end to trying."""
        now = self.clock()
        if now - (state.since or now) >= self.within:
            return state.at(HostStage.FAILED, now, reason=f"not swapped within {self._limit}: {error}")
        return state.again(now, error)

    def proving(self, state: HostState) -> HostState:
        proof = self._proof(state, self.image)
        if proof.health is Health.HEALTHY:
            self.host.settle(self.service, self.image)
            return self.done(state, proof)
        if proof.health is Health.UNHEALTHY:
            return state.at(HostStage.FAILED, self.clock(), reason=proof.said)
        return self._waits(replace(state, reason=""))

    def done(self, state: HostState, proof: Proof) -> HostState:
        return replace(state.at(HostStage.DONE, self.clock()), restarts=proof.restarts)

    def watched(self, state: HostState) -> HostState:
        """A host that was done, looked at again: well, or to be proven anew, or failed after all."""
        now = self.clock()
        proof = self.host.prove(self.service, self.image, self.service.steady + (now - (state.since or now)))
        restarts = proof.restarts - state.restarts
        if proof.health is Health.UNHEALTHY:
            return state.at(HostStage.FAILED, now, reason=f"not healthy any more: {proof.said}")
        if restarts > 0:
            said = f"restarted {restarts} time{'s' * (restarts > 1)} since it was proven: {proof.said}"
            return state.at(HostStage.FAILED, now, reason=said)
        if proof.health is Health.STARTING:
            return state.at(HostStage.PROVING, now, reason=proof.said)
        return decide.seen(state, now)

    def going_back(self, state: HostState) -> HostState:
        self.host.back(self.service, state.previous, self.rollout.generation)
        reason = state.reason if state.stage is HostStage.FAILED else f"taken back: {self.rollout.reason}"
        stage = HostStage.RETURNING if state.previous else HostStage.RETURNED
        return state.at(stage, self.clock(), reason=reason)

    def returning(self, state: HostState) -> HostState:
        assert state.previous is not None
        proof = self._proof(state, state.previous)
        if proof.health is Health.HEALTHY:
            self.host.settle(self.service, state.previous)
            return state.at(HostStage.RETURNED, self.clock(), reason=state.reason)
        if proof.health is Health.UNHEALTHY:
            # Never a rollback of a rollback: it is left as it is, and a person is told.
            return state.at(HostStage.STUCK, self.clock(), reason=f"back at {state.previous.short}, but {proof.said}")
        return self._waits(state)

    def _waits(self, state: HostState) -> HostState:
        now, elapsed = self.clock(), self._elapsed(state)
        later = min(max(AGAIN, elapsed / 3), LATEST)
        return replace(state, since=now - elapsed, attempts=0, due_at=now + later)

    def _elapsed(self, state: HostState) -> timedelta:
        """How long the host has had. If nobody has looked for long, only the time until somebody should have counts.

        Perhaps it is the clock that was put forward, and that proves nothing and ends nothing.
        """
        now = self.clock()
        since, due = state.since or now, state.due_at or state.since or now
        return max((now if now - due <= LATE else due) - since, timedelta(0))

    def _proof(self, state: HostState, image: Digest) -> Proof:
        """The health of the image. One that starts for too long is not healthy, and says so."""
        elapsed = self._elapsed(state)
        try:
            proof = self.host.prove(self.service, image, elapsed)
        except HostBusy as error:
            proof = Proof(Health.STARTING, str(error))
        if proof.health is Health.STARTING and elapsed >= self.within:
            said = f"not healthy within {self._limit}: {proof.said or 'it is still starting'}"
            return Proof(Health.UNHEALTHY, said)
        return replace(proof, said=f"not healthy: {proof.said}")

    @property
    def _limit(self) -> str:
        return span(self.within.total_seconds())
