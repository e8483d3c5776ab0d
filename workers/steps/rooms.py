"""What several steps take: the app's repository, its open bumps, the directory of toplayer's own state."""

from pathlib import Path

from watcher.bump import Bump, BumpStage
from watcher.desk import Desk
from watcher.settings import Settings
from workers.git import Repository
from workers.propose.forges import login_of


def open_bumps(desk: Desk, app: str) -> tuple[Bump, ...]:
    """The app's bumps that are not over."""
    return desk.ledger.all(Bump, app=app, stage=[BumpStage.FOUND, BumpStage.PROPOSED])


def repository_of(settings: Settings, app: str) -> Repository:
    """The app's repository, with what it takes to log in."""
    return Repository.of(app, settings.apps[app], state_of(settings), login_of(settings.apps[app]))


def state_of(settings: Settings) -> Path:
    """Where toplayer keeps what it can do without: clones, caches, scratch directories."""
    return Path(settings.toplayer.state)
