"""How patient the poll of an index may be: what has to wait anyway may be heard of a little later."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from watcher.bump import Bump
from watcher.head import Head
from watcher.ledger import Ledger
from watcher.lookup import Glance, Outcome
from watcher.program import program
from watcher.retry import share
from watcher.settings import Settings

_PART = 12
"""A release is heard of within a twelfth of its cooldown: of three days, six hours."""


@dataclass(frozen=True, slots=True)
class Patience:
    """What decides how long a package need not be asked about: the shortest and the longest of the `cooldowns` that its
    releases wait out, when it was last `decided` about (UTC), and whether a bump of it is `moving`."""

    cooldowns: Mapping[str, tuple[timedelta, timedelta]]
    decided: Mapping[str, datetime]
    moving: frozenset[str]

    @classmethod
    def read(cls, settings: Settings, ledger: Ledger, heads: Iterable[Head]) -> "Patience":
        """For all packages that are pinned at these `heads`."""
        cooldowns: dict[str, tuple[timedelta, timedelta]] = {}
        apps = list(settings.apps)
        for head in heads:
            for package in {pin.package for pin in head.everything}:
                wanted = settings.apps[head.app].policy.of(package).cooldown
                mine = sorted((wanted.patch, wanted.minor, wanted.major, *cooldowns.get(package, ())))
                cooldowns[package] = mine[0], mine[-1]
        open_bumps = [bump for bump in ledger.all(Bump, app=apps) if bump.stage.is_open]
        moving = {part.package for bump in open_bumps for part in bump.parts}
        return cls(cooldowns, ledger.decided_at(apps), frozenset(moving))

    def spares(self, known: Glance, now: datetime) -> bool:
        """Whether the index need not be asked about the package again already.

        Nothing comes later by it: a release is free when its cooldown is over, whenever it was heard of. Asked in every
        round is about what may be taken soon, and must not have been taken back: a package with a release that is still
        cooling or undated, with a bump under way, or with a decision that is newer than the answer (its pin has moved,
        an advisory hits it, a policy is another one).
        """
        shortest, longest = self.cooldowns.get(known.package, (timedelta(), timedelta()))
        if known.outcome is not Outcome.ANSWER or known.looked_at is None or known.program != program():
            return False
        if known.newest_at is None or now - known.newest_at <= longest or known.package in self.moving:
            return False
        if known.package not in self.decided or self.decided[known.package] >= known.looked_at:
            return False
        # What was asked about together is not asked about together for ever.
        return now - known.looked_at < shortest / _PART * (1 - 0.5 * share(known.package, known.looked_at))
