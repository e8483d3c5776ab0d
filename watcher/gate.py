"""The gate: whatever a bump brings into the lock has to pass, and not only what was asked for.

A lock tool may have to take other packages along. Those are new in the image, too: a release of yesterday that comes in
as somebody's requirement is no older for that.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from watcher.advisory import Affected
from watcher.decision import Reason, Verdict
from watcher.errors import Temporary, Unfit
from watcher.lockfiles.diff import LockDiff
from watcher.lookup import Lookup, Outcome
from watcher.pin import Pin
from watcher.policy import Watch
from watcher.release import Release
from watcher.rules import Case, Rules


class GateShut(Unfit):
    """Something that would come into the lock with a bump must not."""

    hint = "raise or lower what pulls it in, or order the bump by hand: `toplayer bump APP PACKAGE VERSION`"

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)

    def __str__(self) -> str:
        return f"not proposed, because of what would come with it: {self.why}"


class GateHeld(Temporary):
    """Something that would come into the lock with a bump may not come yet: for `retry_after` seconds, if we know."""

    def __init__(self, why: str, retry_after: float | None = None) -> None:
        self.why, self.retry_after = why, retry_after
        super().__init__(why, retry_after)

    def __str__(self) -> str:
        return f"not proposed yet, because of what would come with it: {self.why}"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A pin that a bump brings, and the one whose place it takes (None: the package is new in the lock)."""

    pin: Pin
    before: Pin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What need not wait: of `asked` (the packages that the bump is about) nothing if it `fixes` an advisory, and
    nothing at all if a person ordered it (`by_hand`), who has looked at what is asked, too."""

    asked: frozenset[str] = field(default_factory=frozenset)
    fixes: bool = False
    by_hand: bool = False


def arrivals(diff: LockDiff) -> tuple[Arrival, ...]:
    """Everything that a change of a lock brings, by name."""
    found = [Arrival(pin) for pin in diff.added] + [Arrival(change.after, change.before) for change in diff.changed]
    return tuple(sorted(found, key=lambda one: one.pin))


def judge(one: Arrival, lookup: Lookup, rules: Rules, waived: Pass, now: datetime) -> Reason | None:
    """Why the pin may not come in now (UTC), or None: what is known of it passes."""
    checks: tuple[Callable[[], Reason | None], ...] = (
        lambda: _of_source(one),
        lambda: _of_policy(one, rules, waived),
        lambda: _of_index(one.pin, lookup, rules),
    )
    found = next(filter(None, (check() for check in checks)), None)
    if found is not None:
        return found
    release = next((release for release in lookup.releases if release.version == one.pin.version), None)
    if release is None:
        return _held(one.pin, "index", f"the index {lookup.index} does not show it")
    foreign = release.foreign(one.pin.hashes)
    if foreign:
        return _refused(one.pin, "files", f"comes as a file that {lookup.index} does not have ({foreign[0]})")
    return _of_release(one, release, Case(one.before or one.pin, lookup, rules, now), waived)


def _of_release(one: Arrival, release: Release, case: Case, waived: Pass) -> Reason | None:
    if one.before is None:
        case.hits = Affected()
    is_asked = one.pin.package in waived.asked
    rules = [case.yanked, case.harmful] if one.before is None or one.before.version != one.pin.version else []
    if not (waived.by_hand and is_asked):
        rules.append(case.moved)
    if not is_asked:
        rules.append(case.silenced)
    if not (waived.by_hand or (waived.fixes and is_asked)):
        rules += [case.informed, case.cooldown]
    return next(filter(None, (rule(release) for rule in rules)), None)


def _of_source(one: Arrival) -> Reason | None:
    source = one.pin.source
    if source == "index":
        return None
    if one.before is not None and one.before.source == source:
        return _refused(one.pin, "source", f"would move, and only a person moves a {source} source")
    return _refused(one.pin, "source", f"comes from a {source} source and not from an index")


def _of_policy(one: Arrival, rules: Rules, waived: Pass) -> Reason | None:
    moves = one.before is not None and one.before.version != one.pin.version
    if rules.policy.watch is not Watch.NONE or not moves or one.pin.package in waived.asked:
        return None
    return _refused(one.pin, "ignore", "would move, and the policy ignores it")


def _of_index(pin: Pin, lookup: Lookup, rules: Rules) -> Reason | None:
    if rules.unrouted:
        return _refused(pin, "index", rules.unrouted)
    if lookup.status == "quarantined":
        return _refused(pin, "quarantined", "is quarantined by its index")
    if lookup.outcome is Outcome.ABSENT:
        return _refused(pin, "index", f"is not on the index {lookup.index}")
    if lookup.outcome is Outcome.UNKNOWN:
        return _held(pin, "index", f"cannot be looked up: {lookup.reason or 'the index has not been asked yet'}")
    return None


def _refused(pin: Pin, rule: str, said: str) -> Reason:
    return Reason(version=pin.version, verdict=Verdict.REFUSED, rule=rule, said=said)


def _held(pin: Pin, rule: str, said: str) -> Reason:
    return Reason(version=pin.version, verdict=Verdict.HELD, rule=rule, said=said)


def pass_or_raise(judged: Iterable[tuple[Arrival, Reason | None]], now: datetime) -> None:
    """Nothing, if all may come in. `GateShut` if one of them never may, else `GateHeld` until the last of them may."""
    against = [(one, reason) for one, reason in judged if reason is not None]
    shut = [_line(one, reason) for one, reason in against if reason.verdict is Verdict.REFUSED]
    if shut:
        raise GateShut("; ".join(shut))
    if against:
        times = [reason.free_at for _, reason in against]
        known = [at for at in times if at is not None]
        wait = (max(known) - now).total_seconds() if len(known) == len(times) else None
        raise GateHeld("; ".join(_line(one, reason) for one, reason in against), wait)


def _line(one: Arrival, reason: Reason) -> str:
    package = one.pin.package
    return reason.said if reason.said.startswith(f"{package} ") else f"{package} {reason.said}"
