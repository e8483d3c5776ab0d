"""What GitHub, Gitea and Forgejo have in common: pull requests, at the same addresses and in the same shapes."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter, ValidationError

from watcher.inert import inert
from watcher.proposal import Checks, Proposal, ProposalState
from watcher.settings import ForgeSettings
from workers.propose.forges.checks import Check, Required, verdict
from workers.propose.forges.errors import ForgeLied, ForgeRefused, NotThere, unreadable
from workers.propose.forges.forge import key_of

_MOST_PAGES = 20


class _Repository(BaseModel):
    """What can be told from another one of the same name."""

    id: int


class _Branch(BaseModel):
    """One end of a pull request. `label` is the branch's name, on GitHub after its owner's; its `repo` may be gone."""

    label: str
    ref: str
    sha: str
    repo: _Repository | None


class _Permissions(BaseModel):
    push: bool = False


class _Project(BaseModel):
    """A repository, as far as it matters: what the token may do with it."""

    permissions: _Permissions = _Permissions()


class Pull(BaseModel):
    """A pull request. What only one of the forges has, or has only in the answer for a single one, is empty elsewhere.

    `node_id`, `mergeable_state` and `auto_merge` are GitHub's.
    """

    number: int
    node_id: str = ""
    html_url: str
    title: str
    body: str | None = None
    state: Literal["open", "closed"]
    draft: bool = False
    head: _Branch
    base: _Branch
    merged_at: datetime | None = None
    merge_commit_sha: str | None = None
    mergeable_state: str = ""
    auto_merge: dict[str, Any] | None = None

    @property
    def branch(self) -> str:
        """The name of its branch, as long as it lives and after. Gitea's `ref` tells it only until it is deleted."""
        return self.head.label.rpartition(":")[2]

    def is_of(self, branch: str, base: str) -> bool:
        """Whether it is for `base`, and from this branch of the project itself. A copy of it can have one, too."""
        at_home = self.head.repo is not None and self.head.repo == self.base.repo
        return at_home and (self.branch, self.base.ref) == (branch, base)


class Pulls(ABC):
    """One project, and one branch of it that proposals are for."""

    _rights: str
    """What a token needs, in words."""

    def __init__(self, settings: ForgeSettings, project: str, base: str, contact: str = "") -> None:
        self._settings, self._project, self._base, self._contact = settings, project, base, contact
        self._where = f"{settings.address}/{project}"

    @abstractmethod
    def _ask(
        self, verb: str, path: str, asked: Mapping[str, Any] | None = None, input: Mapping[str, Any] | None = None
    ) -> Any:
        """The answer to a request below the project's address. Raises what an answer that says no is."""

    @abstractmethod
    def _seen(self, commit: str) -> list[Check]:
        """All checks of the commit."""

    @abstractmethod
    def _required(self) -> list[Required]:
        """Those that the branch requires."""

    @abstractmethod
    def _labels(self) -> list[Any]:
        """The labels of the settings, as the forge wants to hear them."""

    # --- opening ---

    def invite(self, number: int) -> None:
        if self._settings.labels:
            self._ask("POST", f"/issues/{number}/labels", input={"labels": self._labels()})
        if reviewers := self._settings.reviewers:
            people = [reviewer for reviewer in reviewers if "/" not in reviewer]
            teams = [reviewer.rpartition("/")[2] for reviewer in reviewers if "/" in reviewer]
            asked = {"reviewers": people, "team_reviewers": teams}
            self._ask("POST", f"/pulls/{number}/requested_reviewers", input=asked)

    # --- tending ---

    def look(self, number: int, branch: str) -> Proposal | None:
        pull = self._of(number, branch)
        if pull is None:
            return None
        wanted = pull.state == "open" and self._settings.wants_checks
        return proposal_of(pull, self._checks(pull.head.sha) if wanted else Checks.NONE)

    def close(self, proposal: Proposal, why: str) -> None:
        number, pull = proposal.number, self._of(proposal.number, proposal.branch)
        if pull is not None and pull.state == "open" and key_of(pull.body) == proposal.key:
            self._ask("PATCH", f"/pulls/{number}", input={"state": "closed"})
            self._ask("POST", f"/issues/{number}/comments", input={"body": why})

    def greet(self) -> str:
        project = self._project_row()
        if not project.permissions.push:
            hint = f"it needs {self._rights}; docs/proposals.md has the list"
            raise ForgeRefused(self._where, "the token may read it, and not write to it", hint)
        # What else a token may is nowhere to be asked; reading is the nearest thing to it that changes nothing.
        self._ask("GET", "/pulls", {self._page_size[0]: 1})
        if self._settings.wants_checks:
            self._checks(self._base)
        return f"{self._where} answers, and the token may write there"

    # --- what is behind it ---

    _page_size: tuple[str, int]
    """How the forge is asked for a number of rows at once, and for how many."""
    _full: int
    """A page with fewer rows is the last one."""

    def _checks(self, commit: str) -> Checks:
        try:
            required = self._required()
        except ForgeRefused:
            # Where protecting branches is not part of what is paid for, GitHub says no. To count all is the safe side.
            required = []
        return verdict(self._seen(commit), required)

    def _pages(self, path: str, asked: Mapping[str, Any], key: str = "") -> Iterator[Any]:
        """The rows of a long answer, page after page; in an answer that is no list, they are under `key`."""
        name, most = self._page_size
        for page in range(1, _MOST_PAGES + 1):
            answer = self._ask("GET", path, {**asked, name: most, "page": page})
            rows = answer.get(key) if key and isinstance(answer, dict) else answer
            # Gitea says null for a list of nothing.
            if not isinstance(rows, list | None):
                raise ForgeLied(self._where, key or "answer", "a list", inert(repr(rows), 80))
            yield from rows or ()
            if len(rows or ()) < self._full:
                return

    def _project_row(self) -> _Project:
        project: _Project = self._read(TypeAdapter(_Project), self._ask("GET", ""))
        return project

    def _of(self, number: int, branch: str) -> Pull | None:
        try:
            pull = self._get(number)
        except NotThere:
            # A token that does not see the project any more is told the same: that is for a person.
            self._project_row()
            return None
        return pull if pull.is_of(branch, self._base) else None

    def _get(self, number: int) -> Pull:
        pull: Pull = self._read(TypeAdapter(Pull), self._ask("GET", f"/pulls/{number}"))
        return pull

    def _pull(self, row: object) -> Proposal:
        return proposal_of(self._read(TypeAdapter(Pull), row))

    def _read(self, shape: TypeAdapter[Any], row: object) -> Any:
        """The row in this shape. A `ForgeLied` names what is wrong with it."""
        try:
            return shape.validate_python(row)
        except ValidationError as error:
            raise unreadable(self._where, error) from None


def proposal_of(pull: Pull, checks: Checks = Checks.NONE) -> Proposal:
    """The pull request in our words."""
    state = ProposalState.OPEN if pull.state == "open" else ProposalState.CLOSED
    if pull.merged_at is not None:
        state = ProposalState.MERGED
    return Proposal(
        number=pull.number,
        url=inert(pull.html_url, 500),
        branch=pull.branch,
        tip=pull.head.sha,
        state=state,
        key=key_of(pull.body),
        draft=pull.draft,
        checks=checks,
        behind=pull.mergeable_state == "behind",
        queued=pull.auto_merge is not None,
        merged_as=(pull.merge_commit_sha or "") if state is ProposalState.MERGED else "",
    )
