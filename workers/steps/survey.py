"""Reading the app's repository: head and pins."""

from datetime import datetime

from watcher import decide
from watcher.bump import Bump, BumpStage
from watcher.desk import Desk
from watcher.head import Head
from watcher.rollout import Rollout
from workers.carry import Step
from workers.propose.survey import survey
from workers.steps.rooms import repository_of


def _due(desk: Desk, head: Head, now: datetime) -> bool:
    bumps = desk.ledger.all(Bump, app=head.app, stage=[BumpStage.PROPOSED])
    return head.app in desk.settings.apps and decide.survey_due(
        head, bumps, desk.every(desk.settings.apps[head.app].survey, now), now
    )


def _do(desk: Desk, head: Head) -> Head:
    app = desk.settings.apps[head.app]
    every = desk.ledger.all(Rollout, app=head.app, order="-generation")
    base = next((one.built.base for one in every if one.built), None)
    return survey(head, app, repository_of(desk.settings, head.app), desk.clock(), base)


SURVEY = Step(lambda desk, id: desk.ledger.find(Head, app=id), _due, _do)
