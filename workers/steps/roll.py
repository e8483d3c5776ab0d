"""Bringing one host one step on."""

from datetime import datetime

from watcher import decide, rollouts
from watcher.desk import Desk
from watcher.rollout import HostState, Rollout
from workers.carry import Step
from workers.fleet.roll import step as roll_step
from workers.fleet.swarm_spec import whole
from workers.fleet.targets import connect
from workers.oci.stores import open_store
from workers.progress import Progress
from workers.steps.machines import met
from workers.steps.rooms import state_of
from workers.steps.service import service_of


def host_state(desk: Desk, id: str) -> HostState | None:
    """A host in a rollout, by its name in the ledger."""
    rollout, _, host = id.rpartition(":")
    return desk.ledger.find(HostState, rollout=rollout, host=host)


def _due(desk: Desk, state: HostState, now: datetime) -> bool:
    name = state.rollout.rpartition(":")[0]
    rollout, app = rollouts.current(desk.ledger, name), desk.settings.apps.get(name)
    if rollout is None or app is None or rollout.id != state.rollout:
        return False
    return decide.host_due(state, rollout, now, desk.settings.fleets[app.fleet].plan)


def _do(desk: Desk, state: HostState) -> HostState:
    rollout = desk.ledger.find(Rollout, id=state.rollout)
    assert rollout is not None
    app = desk.settings.apps[rollout.app]
    host = desk.settings.fleets[app.fleet].by_name[state.host]
    store = open_store(app.image.repository, desk.settings.registries, scratch=state_of(desk.settings) / "tmp")
    with connect(host, store) as connection:
        service = service_of(desk.settings, rollout.app, app)
        if state.stage.fetches:
            met(desk, app, state.host, connection)
        with Progress(desk.ledger, state.name, desk.clock, state.pulling_since is not None) as tell:
            within = whole(service) if host.kind == "swarm" else service.within
            after = roll_step(state, rollout, connection, service, within, desk.clock, tell)
            tell.goes_on = after.pulling_since is not None
        return after


ROLL = Step(host_state, _due, _do, goes_on=True)
