"""The rules that a release has to pass. Each looks at one release for one pin, and says why not, or nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from watcher.advisory import Advisory, Affected, Against
from watcher.decision import Reason, Verdict
from watcher.lookup import Lookup
from watcher.past import Failure
from watcher.pin import CONFIGURED, Pin
from watcher.policy import DEFAULT, Policy, Watch
from watcher.release import Release
from watcher.requirement import raised
from watcher.target import Fit, Target
from watcher.units import listed, span
from watcher.versions import SCHEMES
from watcher.versions.kind import KINDS

_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What counts for one pin of an app.

    `silenced` are versions that a person put aside, with the reason, and `failed` those that would fail again.
    `advisories` are all that are known of the package; `uninformed` says whom nobody has heard yet about it, and
    `unrouted` why no index may answer for it. Both are empty if all is well. `outside` is why no image has the pin.
    """

    app: str
    target: Target
    policy: Policy = DEFAULT
    silenced: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, Failure] = field(default_factory=dict)
    advisories: Sequence[Advisory] = ()
    uninformed: str = ""
    unrouted: str = ""
    outside: str = ""


class Case:
    """A pin before its rules, at `now` (UTC)."""

    def __init__(self, pin: Pin, lookup: Lookup, rules: Rules, now: datetime) -> None:
        self.pin, self.lookup, self.rules, self.now = pin, lookup, rules, now
        self.scheme = SCHEMES[pin.ecosystem]
        versions = (pin.version, *(release.version for release in lookup.releases))
        self._against = Against(rules.advisories, versions, self.scheme)
        self.hits = self.affecting(pin.version)
        self.release = next((release for release in lookup.releases if release.version == pin.version), None)
        self._fits: dict[str, Fit] = {}

    def affecting(self, version: str) -> Affected:
        """The advisories that affect a version, by name."""
        return self._against.affecting(version)

    def fixes(self, version: str) -> Affected:
        """Those that affect the pin and would not affect that version."""
        return self.hits - self.affecting(version)

    def fit(self, release: Release) -> Fit:
        """What of the release the target can install."""
        if release.version not in self._fits:
            self._fits[release.version] = self.rules.target.fit(self.pin, release)
        return self._fits[release.version]

    def never(self) -> tuple[str, str]:
        """The rule by which no release at all may move the pin, and what it says; or two empty texts."""
        pin, rules = self.pin, self.rules
        if not pin.is_watched:
            return "source", f"{pin.package} has a {pin.source} source, which only a person moves"
        if rules.policy.watch is Watch.NONE:
            return "ignore", f"{pin.package} is ignored by the policy"
        if rules.unrouted:
            return "index", rules.unrouted
        if self.lookup.status == "quarantined":
            because = f": {self.lookup.status_said}" if self.lookup.status_said else ""
            return "quarantined", f"{pin.package} is quarantined by its index{because}"
        return "", ""

    # --- what no release gets past ---

    def pinned(self, release: Release) -> Reason | None:
        rule, said = self.never()
        return no(release, rule, said) if rule else None

    def configured(self, release: Release) -> Reason | None:
        if self.pin.source != CONFIGURED:
            return None
        now = f"{self.pin.package} names another image now"
        if self.pin.constraint:
            return no(release, CONFIGURED, f"{now}; the digest is in the configuration, where a person changes it")
        said = f"{now}, on which the next build will stand: `toplayer deploy {self.rules.app}`"
        return no(release, CONFIGURED, said)

    def yanked(self, release: Release) -> Reason | None:
        if release.yanked is None:
            return None
        return no(release, "yanked", f"{release.version} is yanked: {release.yanked}")

    def moved(self, release: Release) -> Reason | None:
        if not release.moved:
            return None
        return no(release, "moved", f"{release.version} is not what it was: {release.moved}")

    def harmful(self, release: Release) -> Reason | None:
        """Malware is never taken; other harm only if the pin does the same harm already."""
        if malware := self._against.malware(release.version):
            return no(release, "malware", f"{release.version} is malware ({listed(malware)})")
        fresh = self.affecting(release.version) - self.hits
        return no(release, "advisory", f"{release.version} is affected by {listed(fresh)}") if fresh else None

    def prerelease(self, release: Release) -> Reason | None:
        if self.rules.policy.lets_in(self.pin, release.version):
            return None
        return no(release, "pre-release", f"{release.version} is a pre-release, and {self.pin.version} is not")

    def constraint(self, release: Release) -> Reason | None:
        constraint = self.pin.constraint
        try:
            how = self.rules.policy.requirement
            if raised(self.pin.ecosystem, constraint, release.version, how) is not None:
                return None
        except ValueError:
            return no(release, "constraint", f"the project's constraint {constraint} cannot be understood")
        return no(release, "constraint", f"{release.version} is outside of the project's constraint {constraint}")

    def allowed(self, release: Release) -> Reason | None:
        allow = self.rules.policy.allow
        try:
            if self.rules.policy.allows(self.pin.ecosystem, self.pin.version, release.version):
                return None
            if allow not in KINDS:
                return no(release, "allow", f"{release.version} is outside of what the policy allows ({allow})")
            kind = self.scheme.kind(self.pin.version, release.version)
        except ValueError:
            return no(release, "allow", f"the policy's constraint {allow} cannot be understood")
        return no(release, "allow", f"{release.version} is a {kind} update, and the policy allows {allow} ones")

    def silenced(self, release: Release) -> Reason | None:
        why = self.rules.silenced.get(release.version)
        return None if why is None else no(release, "silenced", f"{release.version} was put aside: {why}")

    def failed(self, release: Release) -> Reason | None:
        failure = self.rules.failed.get(release.version)
        if failure is None:
            return None
        said = f"{release.version} could not be proposed, and is tried again by {clock(failure.until)}: {failure.said}"
        return Reason(version=release.version, verdict=Verdict.HELD, rule="failed", said=said, free_at=failure.until)

    def target(self, release: Release) -> Reason | None:
        fit = self.fit(release)
        return None if fit.files else no(release, fit.rule, f"{release.version} {fit.said}")

    # --- what a security fix gets past ---

    def watched(self, release: Release) -> Reason | None:
        watch, package, outside = self.rules.policy.watch, self.pin.package, self.rules.outside
        if outside:
            said = f"{package} is in no image ({outside}), so it is moved for its security only"
            return no(release, "watch", f"{said}, and nothing is known against it")
        if watch is Watch.SECURITY:
            return no(release, "watch", f"{package} is moved for its security only, and nothing is known against it")
        if watch is Watch.DIRECT and not self.pin.direct:
            said = f"{package} is there for another package, and the policy watches what the app asks for"
            return no(release, "watch", said)
        return None

    def informed(self, release: Release) -> Reason | None:
        said = self.rules.uninformed
        if not said:
            return None
        return Reason(version=release.version, verdict=Verdict.HELD, rule="advisories", said=said)

    def cooldown(self, release: Release) -> Reason | None:
        cooldown = self.rules.policy.cooldown.of(self.scheme.kind(self.pin.version, release.version))
        return self.cooling(release, cooldown) if cooldown else None

    def cooling(self, release: Release, cooldown: timedelta) -> Reason | None:
        """Whether the release is younger than `cooldown`."""
        # The age of what would be installed: a wheel that somebody adds to an old release is not old. Where the index
        # does not tell, it is at least as old as our first sight of it.
        files = self.fit(release).files or release.files
        times = [file.uploaded_at or file.seen_at for file in files]
        since = max((at for at in times if at), default=None) if None not in times else None
        if since is None:
            return _held(release, ": the index does not say how old it is", cooldown, None)
        free_at = since + min(cooldown, _END_OF_TIME - since)
        return _held(release, f" until {clock(free_at)}", cooldown, free_at) if self.now < free_at else None


Rule = Callable[[Case, Release], Reason | None]
ALWAYS: tuple[Rule, ...] = (
    Case.pinned,
    Case.configured,
    Case.yanked,
    Case.moved,
    Case.harmful,
    Case.prerelease,
    Case.constraint,
    Case.allowed,
    Case.silenced,
    Case.target,
    Case.failed,
)
USUALLY: tuple[Rule, ...] = (Case.watched, Case.informed, Case.cooldown)
"""In the order in which they are asked. The cooldown is last: what no other rule refuses is only a matter of time."""


def asked(rules: Sequence[Rule], case: Case, release: Release) -> Reason | None:
    """What the first of the rules says that does not let the release pass."""
    return next(filter(None, (rule(case, release) for rule in rules)), None)


def no(release: Release, rule: str, said: str) -> Reason:
    """The release is refused."""
    return Reason(version=release.version, verdict=Verdict.REFUSED, rule=rule, said=said)


def _held(release: Release, how_long: str, cooldown: timedelta, free_at: datetime | None) -> Reason:
    said = f"{release.version} is held{how_long} (cooldown {span(cooldown.total_seconds())})"
    return Reason(version=release.version, verdict=Verdict.HELD, rule="cooldown", said=said, free_at=free_at)


def clock(at: datetime) -> str:
    """A time for people."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
