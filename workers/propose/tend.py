"""Forge: seeing through what waits to be merged, and taking away what nobody waits for. Safe to do again."""

import contextlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import datetime

from watcher import tend as follows
from watcher.branch import claimed, place_of
from watcher.bump import Bump, BumpStage
from watcher.errors import Refused
from watcher.head import Head
from watcher.inert import inert
from watcher.proposal import Proposals, ProposalState, Tended
from watcher.settings import AppSettings
from workers.git import BranchMoved, GitRefused, Repository
from workers.propose.basis import means_the_same
from workers.propose.forges.errors import BranchBehind
from workers.propose.forges.forge import Forge
from workers.propose.markdown import code
from workers.propose.message import TRAILER, is_ours

_BEHIND = "its forge merges only what stands on the tip of the branch"
_NOT_OURS = "the words over it are not toplayer's, so a person merges it"

Find = Callable[[str], Bump | None]
"""The bump with an id, whatever its stage."""
May = Callable[[Bump], bool]
"""Whether a bump may be merged now: nobody paused the app, and no window or freeze is in the way."""


def tend(
    proposals: Proposals,
    head: Head,
    bumps: Iterable[Bump],
    find: Find,
    may: May,
    app: AppSettings,
    repository: Repository,
    forge: Forge | None,
    clock: Callable[[], datetime],
) -> Proposals:
    """The proposals as they are now. `bumps` are the app's open ones, `head` is what the last survey saw.

    A draft whose checks are green is made ready, one that may be merged is merged, one that has ended is closed, and a
    branch of ours that no bump has goes, unless a person works on it. Raises what git and the forge raise.
    """
    now, bumps = clock(), list(bumps)
    is_open = {bump.id for bump in bumps}
    tended = []
    for bump in bumps:
        known = proposals.of(bump.id)
        if bump.stage is BumpStage.PROPOSED:
            seen = _seen(bump, known, head, repository, forge, app)
            tended.append(_helped(seen, bump, may, app, forge, now))
        elif known is not None:
            # It was sent back, and its proposal is still open. Why, is known by now.
            tended.append(replace(known, rebase=""))
    for gone in proposals.tended:
        if forge is not None and gone.bump not in is_open:
            _let_go(gone, find(gone.bump), {bump.proposal for bump in bumps}, forge)
    kept = _swept(head, bumps, find, proposals.kept, app, repository, forge)
    return replace(proposals, looked_at=now, tended=tuple(tended), kept=kept, reason="", attempts=0, due_at=None)


def _seen(
    bump: Bump, before: Tended | None, head: Head, repository: Repository, forge: Forge | None, app: AppSettings
) -> Tended:
    """What there is to see of a bump that waits. Where a person works on its branch, it is theirs to make it fit."""
    known = replace(before or Tended(bump=bump.id), rebase="")
    proposal = forge.look(bump.proposal, bump.branch) if forge is not None and bump.proposal else None
    known = replace(known, proposal=proposal)
    if proposal is not None and proposal.state is not ProposalState.OPEN:
        return known
    commit = repository.show(bump.commit) if follows.stands(bump, head) else None
    if commit is None or head.commit in commit.parents:
        return known
    if proposal is not None and proposal.behind and proposal.tip == bump.commit:
        return replace(known, rebase=_BEHIND)
    if repository.conflicts(bump.commit, head.commit):
        return replace(known, rebase="what it changes was changed in the meantime")
    if not means_the_same(app.locks_of(bump.ecosystem), commit, head.commit, repository):
        return replace(known, rebase="what its lock is read with was changed in the meantime")
    return known


def _helped(known: Tended, bump: Bump, may: May, app: AppSettings, forge: Forge | None, now: datetime) -> Tended:
    """The same after we did for it what is ours to do. What the forge refuses is noted, and changes nothing."""
    proposal = known.proposal
    if forge is None or app.forge is None or proposal is None:
        return known
    if app.forge.automerge == "checks" and proposal.state is ProposalState.OPEN:
        known = _under_words(known, ours=proposal.key == bump.key)
    try:
        if app.forge.draft and follows.may_ready(known, bump, now):
            forge.ready(proposal.number)
            return replace(known, readied_at=now, held="")
        if app.forge.automerge == "checks" and follows.may_merge(known, bump, now) and may(bump):
            forge.merge(proposal)
            return replace(known, asked_at=now, held="")
    except BranchBehind:
        return replace(known, rebase=_BEHIND)
    except Refused as error:
        return replace(known, asked_at=now, held=inert(str(error)))
    return known


def _under_words(known: Tended, *, ours: bool) -> Tended:
    """The same, with a note for people as long as it is not merged because of the words over it."""
    if not ours:
        return replace(known, held=_NOT_OURS)
    return replace(known, held="") if known.held == _NOT_OURS else known


def _let_go(gone: Tended, bump: Bump | None, in_use: set[int], forge: Forge) -> None:
    """Closes the proposal of a bump that has ended, unless another bump has taken it over.

    One may do so at this moment: what it writes has another key, and is not closed then.
    """
    proposal = gone.proposal
    if proposal is None or proposal.state is not ProposalState.OPEN or proposal.number in in_use:
        return
    forge.close(proposal, _farewell(bump))


def _swept(
    head: Head,
    bumps: Collection[Bump],
    find: Find,
    kept: tuple[str, ...],
    app: AppSettings,
    repository: Repository,
    forge: Forge | None,
) -> tuple[str, ...]:
    """The tips of the branches that are left alone, after those of ours that nobody has are gone.

    The next survey sees that they are; until then their tips are among those that need no second look.
    """
    taken, place = claimed(bumps), place_of(head.app)
    free = {name: tip for name, tip in head.branches if name not in taken}
    again = {
        tip
        for name, tip in free.items()
        if tip not in kept and name.startswith(place) and not _clear(name, tip, find, app, repository, forge)
    }
    return tuple(sorted(set(free.values()) - again))


def _clear(branch: str, tip: str, find: Find, app: AppSettings, repository: Repository, forge: Forge | None) -> bool:
    """Takes a branch away if it is as we wrote it, and its proposal with it. Whether it needs no second look.

    The proposal is known to nobody where the answer to "open it" was lost, and the bump has ended since.
    """
    commit = repository.show(tip)
    bump = find(commit.trailer(TRAILER))
    if not is_ours(commit, app.git.author, {bump.commit} if bump else ()):
        return True
    left = forge.find(branch, bump.key if bump else "") if forge is not None else None
    if forge is not None and left is not None and left.state is ProposalState.OPEN:
        if left.tip != tip:
            return False  # somebody is at it: the next survey sees what
        forge.close(left, _farewell(bump))
    # Gone already, or protected: neither is worth a person's time.
    with contextlib.suppress(BranchMoved, GitRefused):
        repository.delete(branch, tip)
    return True


def _farewell(bump: Bump | None) -> str:
    """Why it is closed. A reason can hold words of strangers, which a forge would take for commands and calls."""
    ended = bump.reason or f"it is {bump.stage}" if bump is not None else ""
    return f"toplayer closes this{f': {code(ended, 1_000)}' if ended else '.'}"
