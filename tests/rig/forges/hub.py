"""A forge as it is behind its API: one project with proposals, whose branches are those of a real repository."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from tests.rig.git_server import Origin
from watcher.proposal import Checks


class Denied(Exception):
    """What the forge says no with: a status and its words."""

    def __init__(self, status: int, said: str) -> None:
        self.status, self.said = status, said
        super().__init__(status, said)


@dataclass(frozen=True)
class Pull:
    """One proposal. `tip` is the last commit that its branch had while it was open.

    `fork` is the copy of the project that the branch is in (empty: it is the project's own).
    """

    number: int
    branch: str
    base: str
    title: str
    body: str
    draft: bool = False
    state: str = "open"
    tip: str = ""
    merged_as: str = ""
    queued: bool = False
    fork: str = ""
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()


@dataclass
class Hub:
    """The project. What people do there is done with its methods, and by the API of each kind of forge.

    `checks` are by commit, and those of the check `ci`; `others` are the other checks, by commit and name. `required`
    are the names of those that the base requires; none of them: no check is. `strict`: only what stands on the base's
    tip is merged. `protected`: why nothing may be merged by the token. `queue`: whether merging goes through a queue.
    `may_write` is the token's right, `is_there` whether it sees the project at all; `people` are whom one can ask for a
    review. `after_change` is called after each change that was made, and before it is answered.
    """

    origin: Origin
    token: str = "t0ken-of-the-forge"
    checks: dict[str, Checks] = field(default_factory=dict)
    others: dict[str, dict[str, Checks]] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    strict: bool = False
    protected: str = ""
    queue: bool = False
    may_write: bool = True
    is_there: bool = True
    people: tuple[str, ...] = ("anna", "bert")
    pulls: dict[int, Pull] = field(default_factory=dict)
    opened: list[int] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    deletes_branches: bool = True
    lock: threading.RLock = field(default_factory=threading.RLock)
    after_change: Callable[[], None] = lambda: None

    def open(self, branch: str, base: str, title: str, body: str, *, draft: bool = False) -> Pull:
        with self.lock:
            self._may_write()
            if not self.origin.tip(branch) or not self.origin.tip(base):
                raise Denied(HTTPStatus.UNPROCESSABLE_ENTITY, "Validation Failed: head invalid")
            if any(p.state == "open" and (p.branch, p.base, p.fork) == (branch, base, "") for p in self.all()):
                raise Denied(HTTPStatus.CONFLICT, f"A pull request already exists for team:{branch}.")
            pull = Pull(self._next, branch, base, title, body, draft)
            self.opened.append(pull.number)
            self.pulls[pull.number] = pull
            return self._changed(pull)

    def open_from_fork(self, branch: str, base: str = "main", body: str = "", *, fork: str = "mallory/shop") -> Pull:
        """By a stranger, who has a branch of any name in a copy of the project."""
        with self.lock:
            pull = Pull(self._next, branch, base, "A stranger's", body, fork=fork, tip="5" * 40)
            self.pulls[pull.number] = pull
            return pull

    @property
    def _next(self) -> int:
        """A number is given once, whatever became of the one that had it."""
        return max((*self.opened, *self.pulls), default=0) + 1

    def all(self) -> list[Pull]:
        """Every proposal, newest first."""
        with self.lock:
            return [self.get(number) for number in sorted(self.pulls, reverse=True)]

    def get(self, number: int) -> Pull:
        with self.lock:
            if number not in self.pulls:
                raise Denied(HTTPStatus.NOT_FOUND, "Not Found")
            pull = self.pulls[number]
            if pull.state == "open" and not pull.fork:
                tip = self.origin.tip(pull.branch)
                # A forge closes what has lost its branch.
                pull = replace(pull, tip=tip) if tip else replace(pull, state="closed")
                self.pulls[number] = pull
            return pull

    def edit(self, number: int, **changes: object) -> Pull:
        with self.lock:
            self._may_write()
            return self._changed(replace(self.get(number), **changes))  # type: ignore[arg-type]

    def label(self, number: int, *labels: str) -> Pull:
        known = self.get(number).labels
        return self.edit(number, labels=(*known, *(one for one in labels if one not in known)))

    def ask(self, number: int, *people: str) -> Pull:
        strangers = [one for one in people if one not in self.people]
        if strangers:
            raise Denied(
                HTTPStatus.UNPROCESSABLE_ENTITY, f"Reviews may only be requested from collaborators: {strangers}"
            )
        known = self.get(number).reviewers
        return self.edit(number, reviewers=(*known, *(one for one in people if one not in known)))

    def comment(self, number: int, text: str) -> Pull:
        return self.edit(number, comments=(*self.get(number).comments, text))

    def checks_of(self, commit: str) -> dict[str, Checks]:
        """Every check of the commit that has reported, by its name."""
        first = {"ci": self.checks[commit]} if self.checks.get(commit, Checks.NONE) is not Checks.NONE else {}
        return first | self.others.get(commit, {})

    def is_behind(self, pull: Pull) -> bool:
        base = self.origin.tip(pull.base)
        return base != self.origin.git("merge-base", pull.base, pull.tip)

    def merge(self, number: int, expected: str = "", *, through_queue: bool = False) -> Pull:
        """By a person, or by the token if it may."""
        with self.lock:
            self._may_write()
            pull = self.get(number)
            if pull.state != "open" or pull.draft:
                raise Denied(HTTPStatus.METHOD_NOT_ALLOWED, "Pull Request is not mergeable")
            if expected and expected != pull.tip:
                raise Denied(HTTPStatus.CONFLICT, "Head branch was modified. Review and try the merge again.")
            if self.protected:
                raise Denied(HTTPStatus.METHOD_NOT_ALLOWED, self.protected)
            if self.strict and self.is_behind(pull):
                raise Denied(HTTPStatus.METHOD_NOT_ALLOWED, "The head branch is behind the base branch")
            if self.queue and not through_queue:
                raise Denied(HTTPStatus.METHOD_NOT_ALLOWED, "Changes must be made through the merge queue")
            return self._merged(pull)

    def enqueue(self, number: int, expected: str = "") -> Pull:
        """Puts it into the queue, whose turn comes with `run_queue`."""
        pull = self.get(number)
        if pull.queued:
            raise Denied(HTTPStatus.UNPROCESSABLE_ENTITY, "Pull request is already in the queue")
        if expected and expected != pull.tip:
            raise Denied(HTTPStatus.CONFLICT, "Head branch was modified")
        return self.edit(number, queued=True)

    def run_queue(self) -> None:
        for pull in self.all():
            if pull.queued and pull.state == "open":
                self.merge(pull.number, through_queue=True)

    def _merged(self, pull: Pull) -> Pull:
        git = self.origin.git
        try:
            tree = git("merge-tree", "--write-tree", pull.base, pull.tip)
        except Exception:
            raise Denied(HTTPStatus.METHOD_NOT_ALLOWED, "Pull Request has merge conflicts") from None
        said = f"Merge {pull.branch}"
        commit = git("commit-tree", tree, "-p", self.origin.tip(pull.base), "-p", pull.tip, "-m", said)
        git("update-ref", f"refs/heads/{pull.base}", commit)
        merged = self._changed(replace(pull, state="merged", merged_as=commit, queued=False))
        if self.deletes_branches:
            git("update-ref", "-d", f"refs/heads/{pull.branch}")
        return merged

    def _may_write(self) -> None:
        if not self.may_write:
            raise Denied(HTTPStatus.FORBIDDEN, "Resource not accessible by personal access token")

    def _changed(self, pull: Pull) -> Pull:
        self.pulls[pull.number] = pull
        self.after_change()
        return self.get(pull.number)
