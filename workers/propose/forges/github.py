"""GitHub, and GitHub Enterprise: https://docs.github.com/rest, and GraphQL for what it does not have."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from importlib.metadata import version
from typing import Any, Literal

import github
import requests
from github.Auth import AppAuth, Token
from pydantic import BaseModel, TypeAdapter

from watcher.inert import inert
from watcher.proposal import Checks, Proposal, ProposalState
from watcher.settings import ForgeSettings
from workers.propose.forges.errors import NONSENSE, ForgeLied, ForgeRefused, ForgeUnreachable, told
from workers.propose.forges.forge import Paper, key_of
from workers.propose.forges.key import token_of
from workers.propose.forges.shape import Branch, Project, Status, read

_PATIENCE = 20
_VERSION = "2022-11-28"
"""The version of the REST API that answers us, whatever is the newest."""
_WELL = ("success", "neutral", "skipped")


class _Pull(BaseModel):
    """A pull request; what only the answer for a single one has, is empty in a list."""

    number: int
    node_id: str
    html_url: str
    state: Literal["open", "closed"]
    body: str | None = None
    draft: bool = False
    head: Branch
    merged_at: datetime | None = None
    merge_commit_sha: str | None = None
    mergeable_state: str = ""
    auto_merge: dict[str, Any] | None = None


class _Run(BaseModel):
    status: str
    conclusion: str | None


class _Runs(BaseModel):
    total_count: int
    check_runs: list[_Run]


class GitHub:
    """One project, and one branch of it that proposals are for. A context manager."""

    def __init__(self, settings: ForgeSettings, project: str, base: str, contact: str = "") -> None:
        self._settings, self._project, self._base, self._contact = settings, project, base, contact
        self._where = f"{settings.address}/{project}"

    def __enter__(self) -> "GitHub":
        self._token = token_of(self._settings, self._project)
        self._api = github.Github(auth=Token(self._token), **_manners(self._settings, self._contact))
        return self

    def __exit__(self, *_: object) -> None:
        self._api.close()

    # --- opening ---

    def find(self, branch: str, key: str) -> Proposal | None:
        owner = self._project.partition("/")[0]
        asked = {"head": f"{owner}:{branch}", "base": self._base, "state": "all", "sort": "created"}
        rows = self._ask("GET", "/pulls", {**asked, "direction": "desc", "per_page": 30})
        found = [_proposal(pull) for pull in self._read(TypeAdapter(list[_Pull]), rows)]
        is_open = (one for one in found if one.state is ProposalState.OPEN)
        return next(is_open, None) or next((one for one in found if one.key == key), None)

    def write(self, paper: Paper, number: int = 0) -> Proposal:
        said = {"title": paper.title, "body": paper.sealed}
        if number:
            return self._pull(self._ask("PATCH", f"/pulls/{number}", input=said))
        made = {**said, "head": paper.branch, "base": self._base, "draft": self._settings.draft}
        return self._pull(self._ask("POST", "/pulls", input=made))

    def invite(self, number: int) -> None:
        labels, reviewers = list(self._settings.labels), self._settings.reviewers
        if labels:
            self._ask("POST", f"/issues/{number}/labels", input={"labels": labels})
        if reviewers:
            people = [reviewer for reviewer in reviewers if "/" not in reviewer]
            teams = [reviewer.rpartition("/")[2] for reviewer in reviewers if "/" in reviewer]
            asked = {"reviewers": people, "team_reviewers": teams}
            self._ask("POST", f"/pulls/{number}/requested_reviewers", input=asked)

    # --- tending ---

    def look(self, number: int) -> Proposal:
        row = self._ask("GET", f"/pulls/{number}")
        pull = self._read(TypeAdapter(_Pull), row)
        wanted = pull.state == "open" and self._settings.wants_checks
        return _proposal(pull, self._checks(pull.head.sha) if wanted else Checks.NONE)

    def ready(self, number: int) -> None:
        pull = self._read(TypeAdapter(_Pull), self._ask("GET", f"/pulls/{number}"))
        if pull.draft:
            self._mutate("markPullRequestReadyForReview", {"pullRequestId": pull.node_id}, "pullRequest { isDraft }")

    def merge(self, proposal: Proposal) -> None:
        wanted = {"sha": proposal.tip, "merge_method": self._settings.method}
        try:
            self._ask("PUT", f"/pulls/{proposal.number}/merge", input=wanted)
        except ForgeRefused as error:
            if "merge queue" not in error.why.lower():
                raise
            self._queue(proposal)

    def close(self, number: int, why: str) -> None:
        pull = self._read(TypeAdapter(_Pull), self._ask("GET", f"/pulls/{number}"))
        if pull.state == "open":
            self._ask("PATCH", f"/pulls/{number}", input={"state": "closed"})
            self._ask("POST", f"/issues/{number}/comments", input={"body": why})

    def greet(self) -> str:
        project = self._read(TypeAdapter(Project), self._ask("GET", ""))
        if not project.permissions.push:
            hint = "it needs to read and write contents and pull requests; docs/proposals.md has the list"
            raise ForgeRefused(self._where, "the token may read it, and not write to it", hint)
        # What a fine-grained token may is nowhere to be asked; reading is the nearest thing to it that changes nothing.
        self._ask("GET", "/pulls", {"per_page": 1})
        if self._settings.wants_checks:
            self._checks(self._base)
        return f"{self._where} answers, and the token may write there"

    # --- what is behind it ---

    def _queue(self, proposal: Proposal) -> None:
        pull = self._read(TypeAdapter(_Pull), self._ask("GET", f"/pulls/{proposal.number}"))
        asked = {"pullRequestId": pull.node_id, "expectedHeadOid": proposal.tip}
        try:
            self._mutate("enqueuePullRequest", asked, "mergeQueueEntry { state }")
        except ForgeRefused as error:
            if "already in the queue" not in error.why.lower():
                raise

    def _checks(self, commit: str) -> Checks:
        """Both kinds: the check runs of apps, and the statuses of everybody else."""
        answer = self._ask("GET", f"/commits/{commit}/check-runs", {"filter": "latest", "per_page": 100})
        runs = self._read(TypeAdapter(_Runs), answer)
        status = self._read(TypeAdapter(Status), self._ask("GET", f"/commits/{commit}/status", {"per_page": 1}))
        if any(run.status == "completed" and run.conclusion not in _WELL for run in runs.check_runs):
            return Checks.RED
        if status.total_count and status.state not in ("success", "pending"):
            return Checks.RED
        unseen = runs.total_count > len(runs.check_runs)
        if unseen or any(run.status != "completed" for run in runs.check_runs):
            return Checks.RUNNING
        if status.total_count and status.state == "pending":
            return Checks.RUNNING
        return Checks.GREEN if runs.check_runs or status.total_count else Checks.NONE

    def _pull(self, row: object) -> Proposal:
        return _proposal(self._read(TypeAdapter(_Pull), row))

    def _read(self, shape: TypeAdapter[Any], row: object) -> Any:
        return read(shape, row, self._where)

    def _ask(
        self, verb: str, path: str, parameters: Mapping[str, Any] | None = None, input: Mapping[str, Any] | None = None
    ) -> Any:
        with _translated(self._where, (self._token,)):
            url = f"/repos/{self._project}{path}"
            return self._api.requester.requestJsonAndCheck(verb, url, parameters=dict(parameters or {}), input=input)[1]

    def _mutate(self, name: str, wanted: dict[str, Any], answer: str) -> None:
        with _translated(self._where, (self._token,)):
            self._api.requester.graphql_named_mutation(name, wanted, answer)


def _proposal(pull: _Pull, checks: Checks = Checks.NONE) -> Proposal:
    state = ProposalState.OPEN if pull.state == "open" else ProposalState.CLOSED
    if pull.merged_at is not None:
        state = ProposalState.MERGED
    return Proposal(
        number=pull.number,
        url=inert(pull.html_url, 500),
        branch=pull.head.ref,
        tip=pull.head.sha,
        state=state,
        key=key_of(pull.body),
        draft=pull.draft,
        checks=checks,
        behind=pull.mergeable_state == "behind",
        queued=pull.auto_merge is not None,
        merged_as=(pull.merge_commit_sha or "") if state is ProposalState.MERGED else "",
    )


def _manners(settings: ForgeSettings, contact: str) -> dict[str, Any]:
    """One attempt, no pauses, no waiting: when to try again is the look's business."""
    return {
        "base_url": _api(settings.address),
        "timeout": _PATIENCE,
        "user_agent": f"toplayer/{version('toplayer')}{f' ({contact})' if contact else ''}",
        "verify": os.environ.get("SSL_CERT_FILE") or True,
        "api_version": _VERSION,
        "retry": None,
        "seconds_between_requests": None,
        "seconds_between_writes": None,
    }


def app_token(settings: ForgeSettings, project: str, id: str, key: str) -> tuple[str, datetime]:
    """A token of the App's installation on the project, and until when it is good (UTC)."""
    where = f"{settings.address}/{project}"
    with _translated(where, (key,)):
        app = github.GithubIntegration(auth=AppAuth(id, key), **_manners(settings, ""))
        try:
            owner, _, name = project.partition("/")
            made = app.get_access_token(app.get_repo_installation(owner, name).id)
            return made.token, made.expires_at
        finally:
            app.close()


def _api(home: str) -> str:
    """The address of the API: a host of its own for what GitHub runs itself, a path on a GitHub Enterprise Server."""
    host = home.removeprefix("https://")
    return f"https://api.{host}" if host == "github.com" or host.endswith(".ghe.com") else f"{home}/api/v3"


@contextlib.contextmanager
def _translated(where: str, secrets: tuple[str, ...]) -> Iterator[None]:
    try:
        yield
    except github.GithubException as error:
        raise told(where, error.status, _said(error), error.headers or {}, secrets) from None
    except requests.RequestException as error:
        raise ForgeUnreachable(where, inert(str(error), 300)) from None
    except NONSENSE as error:
        raise ForgeLied(where, "answer", "JSON as GitHub's API has it", inert(str(error), 200)) from None


def _said(error: github.GithubException) -> str:
    """GitHub's own words: the message, and the list of what is wrong in it, or in a GraphQL answer."""
    data = error.data if isinstance(error.data, dict) else {}
    faults = data.get("errors") if isinstance(data.get("errors"), list) else []
    words = [fault.get("message") or fault.get("code") if isinstance(fault, dict) else fault for fault in faults or []]
    return "; ".join(str(word) for word in (data.get("message"), *words) if word)
