"""A bump → a commit with the moved lock, on the app's branch or on a branch of ours. Safe to do again at any point."""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime

from watcher import lockfiles
from watcher.branch import branch_of
from watcher.bump import Bump, BumpStage
from watcher.decide import locked, settled
from watcher.errors import Refused
from watcher.head import Head
from watcher.inert import inert
from watcher.lockfiles.diff import LockDiff, changes, together
from watcher.pin import Pin
from watcher.proposal import Proposal, ProposalState
from watcher.settings import AppSettings
from watcher.versions import SCHEMES
from workers import sentry
from workers.git import Commit, Repository
from workers.propose.basis import same_locks
from workers.propose.errors import BranchTaken
from workers.propose.facts import Facts, Read, Teller, knows_nothing
from workers.propose.forges.forge import Opening, Paper
from workers.propose.message import TRAILER, is_ours, message_of
from workers.propose.move import Move
from workers.propose.paper import paper_of
from workers.propose.survey import survey
from workers.propose.tools import moved_together
from workers.propose.workshop import Workshop

log = logging.getLogger("toplayer")
Clock = Callable[[], datetime]
Gate = Callable[[LockDiff], None]


def propose(
    bump: Bump,
    app: AppSettings,
    repository: Repository,
    moves: Sequence[Move],
    shop: Workshop,
    gate: Gate,
    clock: Clock,
    forge: Opening | None = None,
    teller: Teller = knows_nothing,
    written: Collection[str] = (),
) -> Bump:
    """The bump, proposed: `branch` and `commit` say where. Or ended, if the lock has moved by itself in the meantime.

    `moves` are all of its parts; `gate` raises if what else comes into the lock with them may not. `proposed_at` is
    when it is pushed, so a survey that saw less is known to be older. The date of the commit is the bump's, so whoever
    does this again on the same tip makes the same commit. With a `forge` the branch has a proposal, which says what
    `teller` knows; there is never a second one. `written` are commits that the ledger knows for ours.

    Raises `BranchMoved` if the branch moved while we worked, `BranchTaken` if a person works on the branch of ours, and
    what `moved`, `gate`, `lockfiles.read`, git and the forge raise. Nothing is left behind then, but perhaps a branch,
    which the next attempt finds.
    """
    locks = app.locks_of(bump.ecosystem)
    head = survey(Head(app=bump.app), app, repository, clock())
    seen = settled(bump, head, locked(head), SCHEMES[bump.ecosystem], clock())
    if seen.stage is BumpStage.MERGED:
        return bump.at(BumpStage.PROPOSED, clock(), branch=app.branch, commit=head.commit)
    if seen is not bump:
        return seen

    def made() -> str:
        """The commit that moves the lock, on top of the tip. Nobody sees it yet."""
        change = moved_together(locks, moves, lambda path: repository.read(head.commit, path), shop, clock())
        gate(change.diff)
        files = {path: text.encode() for path, text in change.files.items()}
        return repository.commit(head.commit, files, message_of(bump, change.diff), app.git.author, bump.found_at)

    if app.propose == "commit":
        commit = made()
        repository.push(commit, app.branch, head.commit)
        return bump.at(BumpStage.PROPOSED, clock(), branch=app.branch, commit=commit)
    branch = branch_of(bump.app, bump.package, bump.group)
    tip = dict(head.branches).get(branch)
    standing = _ours(repository, branch, tip, app.git.author, written) if tip is not None else None
    known = forge.find(branch, bump.key) if forge is not None else None
    if known is not None and known.state is not ProposalState.OPEN:
        # Somebody decided before we could note that it is open. It is not opened again: tending tells what came of it.
        where = {"branch": branch, "commit": standing.id if standing else known.tip, "url": known.url}
        return bump.at(BumpStage.PROPOSED, clock(), proposal=known.number, **where)
    if standing is None or not _stands(standing, bump, head.commit, locks, repository):
        commit = made()
        repository.push(commit, branch, tip)
        standing = repository.show(commit)
    proposed = bump.at(BumpStage.PROPOSED, clock(), branch=branch, commit=standing.id)
    if forge is None:
        return proposed
    diff = difference(standing, locks, repository)
    facts = _told(bump, teller, diff, lambda path: repository.read(standing.id, path))
    weighed = diff.weighed(lambda pin: facts.sizes.get((pin.package, pin.version)))
    return _presented(proposed, paper_of(proposed, app, weighed, facts), known, forge)


def _told(bump: Bump, teller: Teller, diff: LockDiff, read: Read) -> Facts:
    """What there is to tell; nothing, if the words of a stranger are such that the teller fails.

    A proposal without them is worth more than none.
    """
    try:
        return teller(diff, read)
    except Exception as error:
        log.exception("%s: nothing is told of it", bump.id)
        sentry.report(error, "tell of", bump.id)
        return Facts()


def _presented(bump: Bump, paper: Paper, known: Proposal | None, forge: Opening) -> Bump:
    """The bump with its proposal, opened or written anew. One that a person has opened keeps the person's words."""
    if known is not None and not known.key:
        return replace(bump, proposal=known.number, url=known.url)
    proposal = forge.write(paper, known.number if known else 0)
    if proposal.state is not ProposalState.OPEN and known is not None and known.key != bump.key:
        # It was closed since we found it, as that of an older version.
        known, proposal = None, forge.write(paper)
    said = ""
    # Once, and not each time that it is made anew; again if we died before we could note that it was done.
    if known is None or (known.key == bump.key and not bump.proposal):
        try:
            forge.invite(proposal.number)
        except Refused as error:
            # It is open all the same: whom to ask for a review is for people to mend, and nothing to fail for.
            said = inert(f"it is open, but nobody was asked to review it: {error}")
    return replace(bump, proposal=proposal.number, url=proposal.url, reason=said)


def difference(commit: Commit, locks: Sequence[str], repository: Repository) -> LockDiff:
    """What the commit changed in the locks."""

    def pins(lock: str, at: str) -> tuple[Pin, ...]:
        return lockfiles.read(lock, lambda path: repository.read(at, path))

    return together(changes(pins(lock, commit.parents[0]), pins(lock, commit.id)) for lock in locks)


def _ours(repository: Repository, branch: str, tip: str, author: str, written: Collection[str]) -> Commit:
    """The commit at the tip of a branch of ours, if we wrote it, and nobody touched it since."""
    commit = repository.show(tip)
    if not is_ours(commit, author, written):
        raise BranchTaken(repository.where, branch, commit.committer.rpartition(">")[0] + ">")
    return commit


def _stands(standing: Commit, bump: Bump, tip: str, locks: Sequence[str], repository: Repository) -> bool:
    """Whether what stands on the branch is the bump, and good for the tip.

    While the locks at the tip are those that it was made for, with all that is read with them, it is; one that was sent
    back has to be on the tip.
    """
    if standing.trailer(TRAILER) != bump.id:
        return False
    if bump.branch and bump.stage is BumpStage.FOUND:
        return tip in standing.parents
    return any(same_locks(locks, parent, tip, repository) for parent in standing.parents)
