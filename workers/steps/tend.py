"""Following up on proposals that are open."""

from datetime import datetime

from watcher import decide
from watcher import tend as follows
from watcher.bump import Bump
from watcher.desk import Desk
from watcher.head import Head
from watcher.proposal import Proposals
from workers.carry import Step
from workers.propose.forges import open_forge
from workers.propose.forges.rest import Patience
from workers.propose.tend import tend
from workers.steps.rooms import open_bumps, repository_of


def _due(desk: Desk, proposals: Proposals, now: datetime) -> bool:
    app, head = desk.settings.apps.get(proposals.app), desk.ledger.find(Head, app=proposals.app)
    if app is None or head is None or app.propose != "branch":
        return False
    return follows.due(proposals, head, open_bumps(desk, proposals.app), desk.every(app.survey, now), now)


def _do(desk: Desk, proposals: Proposals) -> Proposals:
    name, now = proposals.app, desk.clock()
    app, head = desk.settings.apps[name], desk.ledger.find(Head, app=name)
    assert head is not None
    bumps = open_bumps(desk, name)
    # Nobody shall be pushed into an hour that is not for it, by a merge any more than by a branch.
    paused = desk.ledger.is_held(name)
    may = {bump.id for bump in bumps if not paused and decide.waits(bump, app.policy.of, now) is None}
    with open_forge(app, desk.settings.toplayer.contact, Patience(desk.ledger, desk.clock)) as forge:
        return tend(
            proposals,
            head,
            bumps,
            lambda id: desk.ledger.find(Bump, id=id),
            lambda bump: bump.id in may,
            app,
            repository_of(desk.settings, name),
            forge,
            desk.clock,
        )


TEND = Step(lambda desk, id: desk.ledger.find(Proposals, app=id), _due, _do)
