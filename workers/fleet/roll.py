"""One step of one host in one rollout. What follows what stands in `watcher/decide.py`; here it is done."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from watcher import decide
from watcher.errors import Temporary
from watcher.image import Digest
from watcher.rollout import HostStage, HostState, Rollout
from watcher.units import span
from workers.fleet.host import Fenced, Health, Host, OnItsWay, Service, Tell, silent

AGAIN = timedelta(seconds=1)
"""After which a host that is still starting is looked at again; later after a third of the time that it has taken so
far, and never later than `LATEST`."""
LATEST = timedelta(seconds=15)
PULLING = timedelta(seconds=5)
"""After which a host that brings the image to itself is asked how far it is: the first time, and no sooner ever."""


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
    except OnItsWay:
        return roll.pulling(state, began)
    except Temporary as error:
        if not state.stage.fetches or decide.goes_back(state, rollout):
            raise
        return decide.offline(state, clock(), error)


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
        return self.fetched(state) if state.stage is HostStage.FETCHED else self.proving(state)

    def called(self, state: HostState) -> HostState:
        """Notes what runs, and fetches. Fetching touches nothing, so the note is written before anything is."""
        before = self.host.running(self.service)
        state = replace(state, found=before.generation)
        if before.generation > self.rollout.generation:
            return state.refused(self.clock(), Fenced(state.host, self.rollout.generation, before.generation))
        state = replace(state, previous=before.image)
        if before.image == self.image and not before.differs:
            proof = self.host.prove(self.service, self.image, self.service.steady)
            if proof.health is Health.HEALTHY:
                return replace(state.at(HostStage.DONE, self.clock()), bytes=0)
        began = state.pulling_since or self.clock()
        travelled = self.host.fetch(self.service, self.image, self.tell)
        stage = HostStage.READY if state.stage is HostStage.AHEAD else HostStage.FETCHED
        after = state.at(stage, self.clock())
        return replace(after, bytes=travelled, pull_seconds=(self.clock() - began).total_seconds())

    def pulling(self, state: HostState, began: datetime) -> HostState:
        """The host brings the image to itself, and nobody has to wait for it there."""
        now = self.clock()
        since = min(state.pulling_since or began, now)
        later = min(max(PULLING, (now - since) / 3), LATEST)
        reason = "" if state.stage.fetches else state.reason
        return replace(state, reason=reason, pulling_since=since, attempts=0, due_at=now + later)

    def fetched(self, state: HostState) -> HostState:
        began = self.clock()
        self.host.swap(self.service, self.image, self.rollout.generation)
        after = state.at(HostStage.PROVING, self.clock())
        return replace(after, swap_seconds=(self.clock() - began).total_seconds())

    def proving(self, state: HostState) -> HostState:
        health, why = self._verdict(state, self.image)
        if health is Health.HEALTHY:
            self.host.settle(self.service, self.image)
            return state.at(HostStage.DONE, self.clock())
        if health is Health.UNHEALTHY:
            return state.at(HostStage.FAILED, self.clock(), reason=why)
        return self._waits(replace(state, reason=""))

    def going_back(self, state: HostState) -> HostState:
        self.host.back(self.service, state.previous, self.rollout.generation)
        reason = state.reason if state.stage is HostStage.FAILED else f"taken back: {self.rollout.reason}"
        stage = HostStage.RETURNING if state.previous else HostStage.RETURNED
        return state.at(stage, self.clock(), reason=reason)

    def returning(self, state: HostState) -> HostState:
        assert state.previous is not None
        health, why = self._verdict(state, state.previous)
        if health is Health.HEALTHY:
            self.host.settle(self.service, state.previous)
            return state.at(HostStage.RETURNED, self.clock(), reason=state.reason)
        if health is Health.UNHEALTHY:
            # Never a rollback of a rollback: it is left as it is, and a person is told.
            return state.at(HostStage.STUCK, self.clock(), reason=f"back at {state.previous.short}, but {why}")
        return self._waits(state)

    def _waits(self, state: HostState) -> HostState:
        now = self.clock()
        # A clock that was put back would have it wait for as long as it was put back.
        since = min(state.since or now, now)
        return replace(state, since=since, attempts=0, due_at=now + min(max(AGAIN, (now - since) / 3), LATEST))

    def _verdict(self, state: HostState, image: Digest) -> tuple[Health, str]:
        """The health of the image, and why it is bad. One that starts for too long is bad, too."""
        elapsed = self.clock() - (state.since or self.clock())
        proof = self.host.prove(self.service, image, elapsed)
        if proof.health is Health.STARTING and elapsed >= self.within:
            limit = span(self.within.total_seconds())
            return Health.UNHEALTHY, f"not healthy within {limit}: {proof.said or 'it is still starting'}"
        return proof.health, f"not healthy: {proof.said}"
