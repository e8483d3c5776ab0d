"""What the ledger knows of an app's rollouts, of which there may be thousands: each question reads a few of them."""

from collections.abc import Sequence
from datetime import datetime

from watcher import decide
from watcher.bump import Bump, BumpStage
from watcher.head import Head
from watcher.ledger import Ledger
from watcher.rollout import HostState, Rollout, RolloutStage
from watcher.rows import SOME

OPEN = tuple(stage for stage in RolloutStage if stage.is_open)
_OF_THE_BRANCH = ("commit", "build", "deploy")


def newest(ledger: Ledger, app: str) -> Rollout | None:
    """The app's last rollout."""
    return _last(ledger.all(Rollout, app=app, order="-generation", limit=1))


def current(ledger: Ledger, app: str) -> Rollout | None:
    """The last rollout that has touched a host, or was about to: it alone has a say over the hosts.

    Whatever one before it left undone on a host that was away, this one finds there when it calls the host.
    """
    return _last(ledger.all(Rollout, app=app, rolling_at=SOME, order="-generation", limit=1))


def before(ledger: Ledger, rollout: Rollout) -> Rollout | None:
    """The one that had the say before this one."""
    began = ledger.all(Rollout, app=rollout.app, rolling_at=SOME, order="-generation", limit=2)
    return next((one for one in began if one.generation < rollout.generation), None)


def kept(ledger: Ledger, app: str) -> Rollout | None:
    """The rollout whose image the fleet is at. None while one is under way, and if the last one went back: then a
    person has the next word."""
    last = current(ledger, app)
    return last if last is not None and last.stage is RolloutStage.DONE else None


def unfinished(ledger: Ledger, app: str) -> tuple[Rollout, ...]:
    """The rollouts that are open, newest first."""
    return ledger.all(Rollout, app=app, stage=OPEN, order="-generation")


def going(ledger: Ledger, app: str) -> tuple[Rollout, ...]:
    """The rollouts in which something may still be tried: those that are open, and the one that has the say."""
    had = current(ledger, app)
    found = unfinished(ledger, app)
    return found if had is None or had.stage.is_open else (*found, had)


def of_head(ledger: Ledger, head: Head, now: datetime, *, cause: str = "commit", held: bool = False) -> Rollout:
    """A new rollout of the branch's tip, which is not written yet."""
    merged = ledger.all(Bump, app=head.app, stage=BumpStage.MERGED)
    last, generation = of_branch(ledger, head.app), next_generation(ledger, head.app)
    return decide.wanted(head, generation, last, merged, now, cause=cause, held=held)


def of_branch(ledger: Ledger, app: str) -> Rollout | None:
    """The last rollout that came of the branch, and not of an image that there was before."""
    return _last(ledger.all(Rollout, app=app, cause=_OF_THE_BRANCH, order="-generation", limit=1))


def next_generation(ledger: Ledger, app: str) -> int:
    """The generation of the app's next rollout: above every one that is known, and above what its hosts showed."""
    last = newest(ledger, app)
    if last is None:
        return 1
    found = [int(generation) for (generation,) in ledger.rows(HostState, "found", rollout=last.id)]
    return 1 + max([last.generation, *found])


def has_images(ledger: Ledger, app: str) -> bool:
    """Whether an image was ever built."""
    return bool(ledger.all(Rollout, app=app, image=SOME, limit=1))


def _last(found: Sequence[Rollout]) -> Rollout | None:
    return found[0] if found else None
