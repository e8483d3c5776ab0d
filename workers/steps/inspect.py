"""Asking one host what it really runs: while its rollout goes on to others, and now and then after that."""

from dataclasses import replace
from datetime import datetime

from watcher import decide, rollouts
from watcher.desk import Desk
from watcher.errors import Refused, Temporary
from watcher.inert import inert
from watcher.rollout import HostState, Rollout, RolloutStage
from workers.carry import Step
from workers.fleet.drift import difference
from workers.fleet.host import OTHERWISE
from workers.fleet.roll import watch
from workers.fleet.targets import connect
from workers.oci.stores import open_store
from workers.steps.roll import host_state
from workers.steps.service import service_of


def _due(desk: Desk, state: HostState, now: datetime) -> bool:
    name = state.rollout.rpartition(":")[0]
    rollout, app = rollouts.current(desk.ledger, name), desk.settings.apps.get(name)
    if rollout is None or app is None or rollout.id != state.rollout:
        return False
    fleet = desk.settings.fleets[app.fleet]
    if state.host not in fleet.by_name:
        return False
    if rollout.stage is RolloutStage.ROLLING:
        return decide.watch_due(state, fleet.plan.of(rollout).soak, now)
    kept = rollout.stage is RolloutStage.DONE and fleet.drift != "ignore"
    return kept and decide.inspection_due(state, fleet.drift_every, now)


def _do(desk: Desk, state: HostState) -> HostState:
    rollout = desk.ledger.find(Rollout, id=state.rollout)
    assert rollout is not None
    app = desk.settings.apps[rollout.app]
    fleet, service = desk.settings.fleets[app.fleet], service_of(desk.settings, rollout.app, app)
    store = open_store(app.image.repository, desk.settings.registries)
    try:
        with connect(fleet.by_name[state.host], store) as connection:
            if rollout.stage is RolloutStage.ROLLING:
                return watch(state, rollout, connection, service, desk.clock)
            said = difference(connection, service, rollout.image)
    except (Temporary, Refused) as error:
        if rollout.stage is RolloutStage.ROLLING:
            raise
        if isinstance(error, Temporary):
            # Not looked at is not the same as nothing found: what was known of it stays, with the reason beside it.
            return replace(state, reason=inert(str(error)), inspected_at=desk.clock())
        said = str(error)
    # Other settings are no accident of one host: they come to all of them, by a canary and in waves.
    put_right = fleet.drift == "put right" and said != OTHERWISE
    hint = f"; `toplayer deploy {rollout.app}` brings it to all hosts, wave by wave" if said == OTHERWISE else ""
    return decide.inspected(state, inert(said + hint), put_right, desk.clock())


INSPECT = Step(host_state, _due, _do)
