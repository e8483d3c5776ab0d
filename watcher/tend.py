"""What follows for a bump that waits to be merged: a part of `watcher.decide` that has a page of its own.

Pure functions of entries and time, as there. A bump waits on a branch of ours; where the app has a forge, it has a
proposal, too.

    proposed ──tend──▶ its proposal is closed: closed · its branch is in the way: found, and made anew on the tip
             ──propose──▶ a newer one took its branch: superseded
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from watcher.branch import claimed
from watcher.bump import Bump, BumpStage
from watcher.head import Head
from watcher.proposal import Checks, Proposals, ProposalState, Tended

NO_CHECKS = timedelta(minutes=5)
"""How long a commit may stand without any check before we believe that it will not get one."""
TOO_EARLY = timedelta(minutes=1)
"""How long a commit is left alone by us: checks report one after the other, and the first green one is not all."""
ASK_AGAIN = timedelta(minutes=10)
"""How long a forge that would not merge is left alone, while nothing has changed."""


def due(proposals: Proposals, head: Head, bumps: Collection[Bump], every: timedelta, now: datetime) -> bool:
    """Whether the app's proposals and branches should be tended. `bumps` are the app's open ones.

    At once when a bump has just been proposed or has ended, or a branch of ours has nobody; else every so often.
    """
    if head.surveyed_at is None or not proposals.is_due(now):
        return False
    is_open, known = {bump.id for bump in bumps}, {tended.bump for tended in proposals.tended}
    waiting = {bump.id for bump in bumps if bump.stage is BumpStage.PROPOSED}
    if waiting - known or known - is_open or unclaimed(proposals, head, bumps):
        return True
    return bool(waiting) and (proposals.looked_at is None or now - proposals.looked_at >= every)


def stands(bump: Bump, head: Head) -> bool:
    """Whether the last survey saw the bump's branch, and at its tip what we wrote there, and nobody else's work."""
    return bool(bump.branch) and dict(head.branches).get(bump.branch) == bump.commit


def is_theirs(bump: Bump, head: Head) -> bool:
    """Whether the last survey saw somebody else's work on the bump's branch: then it is theirs."""
    seen_since = bump.proposed_at is not None and head.surveyed_at is not None and head.surveyed_at > bump.proposed_at
    tip = dict(head.branches).get(bump.branch)
    return seen_since and tip is not None and tip != bump.commit


def unclaimed(proposals: Proposals, head: Head, bumps: Iterable[Bump]) -> dict[str, str]:
    """The branches of ours, with their tips, that no open bump claims, and that we have not looked at yet."""
    taken = claimed(bumps)
    return {name: tip for name, tip in head.branches if name not in taken and tip not in proposals.kept}


def judged(bump: Bump, head: Head, proposals: Proposals, now: datetime) -> Bump:
    """What its proposal tells about a bump that waits: closed by a person, to be made anew, or still as it was.

    One whose proposal is not there any more waits without one, as if its app had no forge when it was proposed.
    """
    known, looked_at = proposals.of(bump.id), proposals.looked_at
    if bump.stage is not BumpStage.PROPOSED or known is None or bump.proposed_at is None:
        return bump
    if looked_at is None or looked_at <= bump.proposed_at:
        return bump
    if known.proposal is None and bump.proposal:
        bump = replace(bump, proposal=0, url="")
    if known.proposal is not None and known.proposal.state is ProposalState.CLOSED:
        return bump.at(BumpStage.CLOSED, now, reason=f"{known.proposal.url} was closed")
    if known.proposal is not None and known.proposal.state is ProposalState.MERGED:
        # A survey that came later would have told, had it been merged into the branch of the app.
        seen_since = head.surveyed_at is not None and head.surveyed_at > looked_at and not head.reason
        said = f"{known.proposal.url} was merged, but the lockfile does not hold it"
        return bump.at(BumpStage.CLOSED, now, reason=said) if seen_since else bump
    if known.rebase and stands(bump, head):
        return bump.at(BumpStage.FOUND, now, reason=known.rebase)
    return bump


def overtaken(bump: Bump, bumps: Iterable[Bump], now: datetime) -> Bump:
    """The bump, superseded if another one of the same packages was proposed on its branch after it."""
    if bump.stage is not BumpStage.PROPOSED or bump.proposed_at is None:
        return bump
    for other in bumps:
        same = other.stage is bump.stage and (other.subject, other.branch) == (bump.subject, bump.branch)
        if same and other.proposed_at is not None and other.proposed_at > bump.proposed_at:
            return bump.at(BumpStage.SUPERSEDED, now, reason=f"{other.to_version} took its place")
    return bump


def may_ready(known: Tended, bump: Bump, now: datetime) -> bool:
    """Whether a draft of ours is to become a proposal like any other: its checks are green, or it has none.

    Once only: whoever makes it a draft again wants it to be one.
    """
    proposal = known.proposal
    if proposal is None or not proposal.draft or known.readied_at is not None:
        return False
    if not _rested(known, now):
        return False
    lonely = bump.proposed_at is not None and now - bump.proposed_at >= NO_CHECKS
    return proposal.checks is Checks.GREEN or (proposal.checks is Checks.NONE and lonely)


def may_merge(known: Tended, bump: Bump, now: datetime) -> bool:
    """Whether the forge is to be asked to merge: exactly what we wrote, with our words for it, green checks, no draft.

    Where a person's words stand over it, people read another title than that of what would be merged. Without any
    checks there is nothing that vouches for it, so it waits for a person.
    """
    proposal = known.proposal
    if proposal is None or proposal.state is not ProposalState.OPEN:
        return False
    if proposal.draft or proposal.queued or known.rebase or (proposal.tip, proposal.key) != (bump.commit, bump.key):
        return False
    if bump.proposed_at is None or now - bump.proposed_at < TOO_EARLY:
        return False
    return proposal.checks is Checks.GREEN and _rested(known, now)


def _rested(known: Tended, now: datetime) -> bool:
    return known.asked_at is None or now - known.asked_at >= ASK_AGAIN
