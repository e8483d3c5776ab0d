"""Asking one host what it really runs, now and then, after its rollout is done."""

from dataclasses import replace
from datetime import datetime

from watcher import decide, rollouts
from watcher.desk import Desk
from watcher.errors import Refused, Temporary
from watcher.inert import inert
from watcher.rollout import HostState, Rollout
from workers.carry import Step
from workers.fleet.drift import difference
from workers.fleet.targets import connect
from workers.oci.stores import open_store
from workers.steps.roll import host_state
from workers.steps.service import service_of


def _due(desk: Desk, state: HostState, now: datetime) -> bool:
    rollout = desk.ledger.find(Rollout, id=state.rollout)
    app = desk.settings.apps.get(rollout.app) if rollout is not None else None
    if rollout is None or app is None:
        return False
    fleet = desk.settings.fleets[app.fleet]
    if fleet.drift == "ignore" or all(host.name != state.host for host in fleet.hosts):
        return False
    return rollouts.kept(desk.ledger, rollout.app) == rollout and decide.inspection_due(state, fleet.drift_every, now)


def _do(desk: Desk, state: HostState) -> HostState:
    rollout = desk.ledger.find(Rollout, id=state.rollout)
    assert rollout is not None
    app = desk.settings.apps[rollout.app]
    fleet = desk.settings.fleets[app.fleet]
    host = fleet.by_name[state.host]
    store = open_store(app.image.repository, desk.settings.registries)
    try:
        with connect(host, store) as connection:
            said = difference(connection, service_of(desk.settings, rollout.app, app), rollout.image)
    except Temporary as error:
        # Not looked at is not the same as nothing found: what was known of it stays, with the reason beside it.
        return replace(state, reason=inert(str(error)), inspected_at=desk.clock())
    except Refused as error:
        said = str(error)
    return decide.inspected(state, inert(said), fleet.drift == "put right", desk.clock())


INSPECT = Step(host_state, _due, _do)
