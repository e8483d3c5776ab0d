"""A bump → a commit with the moved lock, on the app's branch or on a branch of ours. Safe to do again at any point."""

from collections.abc import Callable, Sequence
from datetime import datetime

from watcher.bump import Bump, BumpStage
from watcher.decide import settled
from watcher.head import Head
from watcher.lockfiles.diff import LockDiff
from watcher.settings import AppSettings
from watcher.versions import SCHEMES
from workers.git import Commit, Repository
from workers.propose.errors import BranchTaken
from workers.propose.message import TRAILER, branch_of, message_of
from workers.propose.move import Move
from workers.propose.survey import survey
from workers.propose.tools import moved
from workers.propose.workshop import Workshop

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
) -> Bump:
    """The bump, proposed: `branch` and `commit` say where. Or ended, if the lock has moved by itself in the meantime.

    `moves` are all of its parts; `gate` raises if what else comes into the lock with them may not. `proposed_at` is
    when it is pushed, so a survey that saw less is known to be older. The date of the commit is the bump's, so whoever
    does this again on the same tip makes the same commit. Raises `BranchMoved` if the branch moved while we worked,
    `BranchTaken` if a person works on the branch of ours, and what `moved`, `gate`, `lockfiles.read` and git raise.
    Nothing is left behind then.
    """
    head = survey(Head(app=bump.app), app, repository, clock())
    seen = settled(bump, head, SCHEMES[bump.ecosystem], clock())
    if seen.stage is BumpStage.MERGED:
        return bump.at(BumpStage.PROPOSED, clock(), branch=app.branch, commit=head.commit)
    if seen is not bump:
        return seen
    branch = app.branch if app.propose == "commit" else branch_of(bump.app, bump.package)
    tip = head.commit if app.propose == "commit" else dict(head.branches).get(branch)
    if app.propose == "branch" and tip is not None:
        standing = _ours(repository, branch, tip)
        if standing.trailer(TRAILER) == bump.id and _stands_on(standing, head.commit, app.lock, repository):
            return bump.at(BumpStage.PROPOSED, clock(), branch=branch, commit=tip)
    made = moved(app.lock, moves, lambda path: repository.read(head.commit, path), shop, clock())
    gate(made.diff)
    files = {path: text.encode() for path, text in made.files.items()}
    commit = repository.commit(head.commit, files, message_of(bump, made.diff), app.git.author, bump.found_at)
    repository.push(commit, branch, tip)
    return bump.at(BumpStage.PROPOSED, clock(), branch=branch, commit=commit)


def _ours(repository: Repository, branch: str, tip: str) -> Commit:
    """The commit at the tip of a branch of ours, if we wrote it, and nobody touched it since."""
    commit = repository.show(tip)
    if not (commit.trailer(TRAILER) and commit.is_untouched):
        raise BranchTaken(repository.where, branch, commit.committer.rpartition(">")[0] + ">")
    return commit


def _stands_on(proposal: Commit, tip: str, lock: str, repository: Repository) -> bool:
    """Whether the lock at the tip is still the one that the proposal was made for."""
    return any(repository.read(parent, lock) == repository.read(tip, lock) for parent in proposal.parents)
