"""What follows what in the life of a bump. What is proposed is seen through by `watcher.tend`."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime

from watcher import tend
from watcher.bump import Bump, BumpStage, Part
from watcher.head import Head
from watcher.policy import Policy
from watcher.versions import Scheme
from watcher.window import Wait, wait

Locked = Mapping[tuple[str, str], Sequence[str]]
"""The versions that the locks at a head have, by ecosystem and package."""


def locked(head: Head) -> Locked:
    """See `Locked`."""
    found: dict[tuple[str, str], list[str]] = {}
    for pin in head.everything:
        found.setdefault((pin.ecosystem, pin.package), []).append(pin.version)
    return found


def settled(bump: Bump, head: Head, pins: Locked, scheme: Scheme, now: datetime) -> Bump:
    """What a survey tells about an open bump: merged, overtaken, closed by a person, or still as it was.

    `pins` are the head's (see `locked`).
    """
    if head.surveyed_at is None or head.reason or not bump.stage.is_open:
        return bump
    now_at = {part: pins.get((bump.ecosystem, part.package), ()) for part in bump.parts}
    left = {part: versions for part, versions in now_at.items() if versions}
    if not left:
        return bump.at(BumpStage.SUPERSEDED, now, reason=f"{bump.package} is no longer in the lockfile")
    # What stays at another version for another platform, or in no image, was not what the bump is about.
    moved = all(part.from_version not in versions for part, versions in left.items())
    if moved and all(part.to_version in versions for part, versions in left.items()):
        return bump.at(BumpStage.MERGED, now, commit=head.commit)
    if moved and all(any(_is_there(one, part, scheme) for one in versions) for part, versions in left.items()):
        newest = ", ".join(max(versions, key=scheme.key) for versions in left.values())
        return bump.at(BumpStage.SUPERSEDED, now, reason=f"the lockfile is already at {newest}")
    seen_since = bump.proposed_at is not None and head.surveyed_at > bump.proposed_at
    if bump.stage is BumpStage.PROPOSED and seen_since and bump.branch not in dict(head.branches):
        return bump.at(BumpStage.CLOSED, now, reason=f"{bump.branch} does not hold it any more, and it was not merged")
    return bump


def _is_there(version: str, part: Part, scheme: Scheme) -> bool:
    """Whether a pin at `version` has got to where the bump would bring it, or further; or, where versions have no
    order, anywhere but where it was."""
    if not scheme.is_newer(part.to_version, version):
        return True
    return scheme.is_newer(version, part.to_version) and scheme.is_newer(version, part.from_version)


Wishes = Callable[[str], Policy]
"""What an app wants for a package of this name."""


def waits(bump: Bump, wishes: Wishes, now: datetime) -> Wait | None:
    """What keeps a bump from beginning now: a window or a freeze of one of its packages. A person's order waits for
    neither."""
    if bump.by:
        return None
    policies = [wishes(part.package) for part in bump.parts]
    found = [wait(policy.windows, policy.freeze, now) for policy in policies]
    return max((one for one in found if one), key=lambda one: one.until, default=None)


def in_the_way(bump: Bump, waiting: Iterable[Bump], head: Head) -> Bump | None:
    """Which of those that wait to be merged keeps a bump from being proposed, if any does.

    One bump of an app waits at a time; but a security fix waits for other security fixes alone, and for none that a
    person has taken over. One of the same packages gives way, unless a person works on its branch.
    """
    for other in waiting:
        if other.subject == bump.subject:
            blocks = not tend.stands(other, head)
        else:
            blocks = not bump.advisories or (bool(other.advisories) and not tend.is_theirs(other, head))
        if blocks:
            return other
    return None


def next_bump(
    bumps: Collection[Bump], head: Head, wishes: Wishes, paused: bool, now: datetime, *, forge: bool = False
) -> Bump | None:
    """The bump to propose now: one that has nothing in its way.

    One that fixes an advisory goes first, then what a person ordered, then the oldest. One that waits without a pull
    request, because the app had no `forge` then, is proposed there.
    """
    if paused:
        return None
    waiting = [bump for bump in bumps if bump.stage is BumpStage.PROPOSED]
    found = [bump for bump in bumps if bump.stage is BumpStage.FOUND and bump.is_due(now)]
    free = [bump for bump in found if in_the_way(bump, waiting, head) is None]
    ready = [bump for bump in free if waits(bump, wishes, now) is None]
    if not ready and forge:
        ready = [b for b in waiting if not b.proposal and b.is_due(now) and tend.stands(b, head)]
    return min(ready, key=lambda bump: (not bump.advisories, not bump.by, bump.found_at, bump.id), default=None)
