"""How often something changes, from when it has changed: an estimate that is sane for what is new, too.

Changes come by chance at a rate that drifts (a Poisson process), so each counts half as much after `HALF_LIFE`. What
is known before anything has been seen (a Gamma prior) counts like `changes` in `days`: the estimate is

    (changes of the prior + weighted changes) / (days of the prior + weighted days)

per day. A package that was published yesterday for the first time is so taken for one like all others, and not for one
that is published daily.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

HALF_LIFE = timedelta(days=180)
"""Projects change their pace within a year or two, and a package with four releases a year still has some to count."""

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Prior:
    """What is taken for granted: so many changes in so many days."""

    changes: float
    days: float


PACKAGE_PRIOR = Prior(0.5, 30.0)
CODE_PRIOR = Prior(1.0, 3.0)
"""An application's own files change more often than any library: every third day until more is known."""


def rate(changes: Iterable[datetime], since: datetime, now: datetime, prior: Prior = PACKAGE_PRIOR) -> float:
    """Changes per day, from all that there were between `since` and `now` (UTC)."""
    seen = sum(_weight(now - at) for at in changes if since <= at <= now)
    half_life = HALF_LIFE / _DAY
    watched = half_life / math.log(2) * (1.0 - _weight(max(now - since, timedelta(0))))
    return (prior.changes + seen) / (prior.days + watched)


def _weight(age: timedelta) -> float:
    return math.pow(0.5, age / HALF_LIFE)
