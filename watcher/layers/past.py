"""What an app's policy would have made of the releases that a package has had: which ones, and when."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from watcher.lookup import Lookup
from watcher.pin import Pin
from watcher.policy import Policy, Watch
from watcher.release import Release
from watcher.versions import SCHEMES


@dataclass(frozen=True, slots=True)
class Step:
    """A package moved: at this time (UTC), to this release."""

    at: datetime
    release: Release


def steps(pin: Pin, lookup: Lookup, policy: Policy) -> tuple[Step, ...]:
    """The releases that the app would have taken, each after its cooldown, oldest first.

    What an index does not tell the time of is left out, and so is what is yanked today. Windows and freezes are not
    looked at: they gather bumps and make none.
    """
    if policy.watch is Watch.NONE or pin.source != "index":
        return ()
    return tuple(_walked(pin, sorted(_dated(lookup.releases), key=lambda dated: dated[0]), policy))


def _dated(releases: Sequence[Release]) -> Iterator[tuple[datetime, Release]]:
    for release in releases:
        if release.released_at and release.yanked is None:
            yield release.released_at, release


def _walked(pin: Pin, releases: Sequence[tuple[datetime, Release]], policy: Policy) -> Iterator[Step]:
    scheme, now = SCHEMES[pin.ecosystem], ""
    found = []
    for released, release in releases:
        if _may(pin, now, release.version, policy):
            kind = scheme.kind(now, release.version) if now else None
            found.append(Step(released + policy.cooldown.of(kind) if kind else released, release))
            now = release.version
    # A patch may be through its cooldown before the major version that came out ahead of it.
    newest = ""
    for step in sorted(found, key=lambda step: step.at):
        if not newest or scheme.key(step.release.version) > scheme.key(newest):
            newest = step.release.version
            yield step


def _may(pin: Pin, before: str, after: str, policy: Policy) -> bool:
    scheme = SCHEMES[pin.ecosystem]
    try:
        return (
            policy.lets_in(pin, after)
            and scheme.allows(pin.constraint, after)
            and (not before or scheme.key(after) > scheme.key(before))
            and (not before or policy.allows(pin.ecosystem, before, after))
        )
    except ValueError:
        return False
