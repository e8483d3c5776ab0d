"""How often each part of an app's image changes: from what indexes say, what the policy takes, and what was merged."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from watcher.bump import Bump, BumpStage
from watcher.known import Known
from watcher.layers.part import CODE
from watcher.layers.past import steps
from watcher.layers.rate import CODE_PRIOR, PACKAGE_PRIOR, Prior, rate
from watcher.ledger import Ledger
from watcher.lookup import Lookup
from watcher.pin import Pin
from watcher.policy import Policy, Watch
from watcher.rollout import Rollout
from watcher.settings import Settings

COMES_ALONG = 0.1
"""Of the releases of a package that nobody watches for its own sake, the share that comes with another one's bump."""
_TRUST = 60.0
"""What indexes say counts like so many days of the app's own history."""


def rates(app: str, pins: Sequence[Pin], settings: Settings, ledger: Ledger, now: datetime) -> Mapping[str, float]:
    """Changes per day, by the name of the component: `pypi:django`, `code`. At `now` (UTC)."""
    known, policy = Known.read(settings, ledger), settings.apps[app].policy
    bumps = [bump for bump in ledger.all(Bump, app=app) if bump.stage is BumpStage.MERGED and bump.ended_at]
    rollouts = ledger.all(Rollout, app=app)
    since = min((rollout.wanted_at for rollout in rollouts), default=now)
    merged: dict[str, list[datetime]] = {}
    for bump in bumps:
        for part in bump.parts:
            merged.setdefault(part.package, []).append(bump.ended_at or now)
    found = {}
    for pin in pins:
        expected = package_rate(pin, known.of(pin), policy.of(pin.package), now)
        own = Prior(expected * _TRUST, _TRUST)
        found[f"{pin.ecosystem}:{pin.package}"] = (
            rate(merged.get(pin.package, ()), since, now, own) if expected else 0.0
        )
    ours = {bump.commit for bump in bumps}
    commits = [rollout.wanted_at for rollout in rollouts if rollout.cause == "commit" and rollout.commit not in ours]
    return {**found, CODE: rate(commits, since, now, CODE_PRIOR)}


def package_rate(pin: Pin, lookup: Lookup, policy: Policy, now: datetime) -> float:
    """How often a policy lets a package change, per day, from its releases alone; 0 for one that never moves."""
    if policy.watch is Watch.NONE or pin.source != "index":
        return 0.0
    times = [step.at for step in steps(pin, lookup, policy)]
    found = rate(times, min(times, default=now), now, PACKAGE_PRIOR)
    moves = policy.watch is Watch.ALL or (policy.watch is Watch.DIRECT and pin.direct)
    return found if moves else found * COMES_ALONG
