"""Which release, if any: a pure function that gives its reasons.

The newest release that no rule refuses is the candidate. A rule looks at one release and says why not, or nothing; the
first one that speaks has the word.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

from watcher.decision import Decision, Reason, Verdict
from watcher.lookup import Lookup, Outcome
from watcher.pin import Pin
from watcher.release import Release
from watcher.target import Target
from watcher.units import span
from watcher.versions import SCHEMES, Scheme

_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What one app wants for one of its pins.

    `ignored` are globs of package names. `direct_only` leaves alone what is pinned because another package needs it.
    `silenced` are versions that a person closed or that failed before, with the reason.
    """

    app: str
    target: Target
    cooldown: timedelta = timedelta(0)
    ignored: tuple[str, ...] = ()
    direct_only: bool = False
    silenced: Mapping[str, str] = field(default_factory=dict)


def choose(pin: Pin, lookup: Lookup, rules: Rules, now: datetime) -> Decision:
    """What `rules` make of the releases in `lookup` for `pin`, at `now` (UTC).

    TAKEN: `candidate` may be proposed. HELD: not before the time in the reasons. REFUSED: nothing comes of what is
    newer, or the package is not on the index at all. CURRENT: nothing is newer. UNKNOWN: the index did not answer; then
    `candidate` and `reasons` are what its last answer comes to today, and nothing should be done on them.
    """
    case = _Case(pin, rules, SCHEMES[pin.ecosystem], now)
    releases = sorted(lookup.releases, key=lambda release: case.scheme.key(release.version), reverse=True)
    reasons = tuple(_considered(releases, case))
    verdict = _verdict(lookup, reasons, case)
    return Decision(
        app=rules.app,
        package=pin.package,
        at=now,
        current=pin.version,
        newest=releases[0].version if releases else "",
        candidate=next((reason.version for reason in reasons if reason.verdict is Verdict.TAKEN), ""),
        verdict=verdict,
        said=_said(lookup, reasons, verdict, case),
        reasons=reasons,
    )


@dataclass(frozen=True, slots=True)
class _Case:
    """A pin before its rules. Each of them takes a release, and says why not or nothing."""

    pin: Pin
    rules: Rules
    scheme: Scheme
    now: datetime

    def never(self) -> tuple[str, str]:
        """The rule by which no release at all may move the pin, and what it says; or two empty texts."""
        pin, rules = self.pin, self.rules
        if pin.source != "index":
            return "source", f"{pin.package} has a {pin.source} source, which only a person moves"
        for glob in rules.ignored:
            if fnmatchcase(pin.package, glob):
                return "ignore", f"{pin.package} is ignored by the policy ({glob})"
        if rules.direct_only and not pin.direct:
            return "direct", f"{pin.package} is there for another package, and the policy watches what the app asks for"
        if not rules.target.wants(pin):
            return "marker", f"{pin.package} is not installed in the image ({pin.marker})"
        return "", ""

    def pinned(self, release: Release) -> Reason | None:
        rule, said = self.never()
        return _no(release, rule, said) if rule else None

    def yanked(self, release: Release) -> Reason | None:
        if release.yanked is None:
            return None
        return _no(release, "yanked", f"{release.version} is yanked: {release.yanked}")

    def prerelease(self, release: Release) -> Reason | None:
        if not self.scheme.is_prerelease(release.version) or self.scheme.is_prerelease(self.pin.version):
            return None
        return _no(release, "pre-release", f"{release.version} is a pre-release, and {self.pin.version} is not")

    def constraint(self, release: Release) -> Reason | None:
        constraint = self.pin.constraint
        try:
            if self.scheme.allows(constraint, release.version):
                return None
        except ValueError:
            return _no(release, "constraint", f"the project's constraint {constraint} cannot be understood")
        return _no(release, "constraint", f"{release.version} is outside of the project's constraint {constraint}")

    def silenced(self, release: Release) -> Reason | None:
        why = self.rules.silenced.get(release.version)
        return None if why is None else _no(release, "silenced", f"{release.version} was put aside: {why}")

    def target(self, release: Release) -> Reason | None:
        fit = self.rules.target.fit(self.pin, release)
        return None if fit.files else _no(release, fit.rule, f"{release.version} {fit.said}")

    def cooldown(self, release: Release) -> Reason | None:
        cooldown = self.rules.cooldown
        if not cooldown:
            return None
        # The age of what would be installed: a wheel that somebody adds to an old release is not old.
        times = [file.uploaded_at for file in self.rules.target.fit(self.pin, release).files]
        uploaded = max((time for time in times if time), default=None) if None not in times else None
        if uploaded is None:
            return _held(release, ": the index does not say how old it is", cooldown, None)
        free_at = uploaded + min(cooldown, _END_OF_TIME - uploaded)
        return _held(release, f" until {_time(free_at)}", cooldown, free_at) if self.now < free_at else None


RULES: tuple[Callable[[_Case, Release], Reason | None], ...] = (
    _Case.pinned,
    _Case.yanked,
    _Case.prerelease,
    _Case.constraint,
    _Case.silenced,
    _Case.target,
    _Case.cooldown,
)
"""In the order in which they are asked. The cooldown is last: what no other rule refuses is only a matter of time."""


def _considered(releases: Sequence[Release], case: _Case) -> Iterator[Reason]:
    """A reason for each release that is newer than the pin; `releases` are newest first."""
    pinned, taken = case.scheme.key(case.pin.version), ""
    for release in releases:
        if case.scheme.key(release.version) <= pinned:
            return
        reason = next(filter(None, (rule(case, release) for rule in RULES)), None)
        if reason is None and taken:
            reason = _no(release, "newest", f"{taken} is newer")
        elif reason is None:
            taken = release.version
            reason = Reason(version=taken, verdict=Verdict.TAKEN, rule="newest", said=f"{taken} may come in")
        yield reason


def _verdict(lookup: Lookup, reasons: Sequence[Reason], case: _Case) -> Verdict:
    if lookup.outcome is not Outcome.ANSWER:
        nothing_to_know = lookup.outcome is Outcome.ABSENT or any(case.never())
        return Verdict.REFUSED if nothing_to_know else Verdict.UNKNOWN
    found = {reason.verdict for reason in reasons}
    return next((v for v in (Verdict.TAKEN, Verdict.HELD, Verdict.REFUSED) if v in found), Verdict.CURRENT)


def _said(lookup: Lookup, reasons: Sequence[Reason], verdict: Verdict, case: _Case) -> str:
    _, never = case.never()
    if never and verdict is Verdict.REFUSED:
        return never
    if lookup.outcome is Outcome.ABSENT:
        return f"{lookup.package} is not on the index {lookup.index}"
    if lookup.outcome is Outcome.ANSWER:
        return _in_short(lookup, reasons, case)
    why = f"not looked: {lookup.reason or 'the index has not been asked yet'}"
    if lookup.answered_at is None:
        return why
    return f"{why}; its answer of {_time(lookup.answered_at)} comes to: {_in_short(lookup, reasons, case)}"


def _in_short(lookup: Lookup, reasons: Sequence[Reason], case: _Case) -> str:
    if not reasons:
        current = case.pin.version
        mine = next((release for release in lookup.releases if release.version == current), None)
        yanked = f", which is yanked: {mine.yanked}" if mine and mine.yanked is not None else ""
        return f"nothing is newer than {current}{yanked}"
    newest = reasons[0]
    by_verdict = {reason.verdict: reason for reason in reversed(reasons)}
    best = by_verdict.get(Verdict.TAKEN) or by_verdict.get(Verdict.HELD) or newest
    return f"{best.said}; {newest.said}" if best is not newest else best.said


def _no(release: Release, rule: str, said: str) -> Reason:
    return Reason(version=release.version, verdict=Verdict.REFUSED, rule=rule, said=said)


def _held(release: Release, how_long: str, cooldown: timedelta, free_at: datetime | None) -> Reason:
    said = f"{release.version} is held{how_long} (cooldown {span(cooldown.total_seconds())})"
    return Reason(version=release.version, verdict=Verdict.HELD, rule="cooldown", said=said, free_at=free_at)


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
