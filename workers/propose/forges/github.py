"""GitHub, and GitHub Enterprise: https://docs.github.com/rest, and GraphQL for what it does not have."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

import github
import requests
from github.Auth import AppAuth, Token
from pydantic import BaseModel, TypeAdapter

from watcher.inert import inert
from watcher.proposal import Checks, Proposal, ProposalState
from watcher.settings import ForgeSettings
from workers.propose.forges.checks import Check, Required
from workers.propose.forges.errors import NONSENSE, ForgeLied, ForgeRefused, ForgeUnreachable, told
from workers.propose.forges.forge import Paper
from workers.propose.forges.key import forget, token_of
from workers.propose.forges.pulls import Pull, Pulls, proposal_of

_PATIENCE = 20
_VERSION = "2022-11-28"
"""The version of the REST API that answers us, whatever is the newest."""
_WELL = ("success", "neutral", "skipped")


class _App(BaseModel):
    id: int


class _Run(BaseModel):
    name: str
    status: str
    conclusion: str | None
    app: _App | None = None

    @property
    def check(self) -> Check:
        state = Checks.RUNNING
        if self.status == "completed":
            state = Checks.GREEN if self.conclusion in _WELL else Checks.RED
        return Check(self.name, state, self.app.id if self.app else 0)


class _Status(BaseModel):
    context: str
    state: str

    @property
    def check(self) -> Check:
        return Check(self.context, {"success": Checks.GREEN, "pending": Checks.RUNNING}.get(self.state, Checks.RED))


class _Wanted(BaseModel):
    """A required check: classic protection has an `app_id` (-1: any), rules have an `integration_id`."""

    context: str
    app_id: int | None = None
    integration_id: int | None = None

    @property
    def required(self) -> Required:
        return Required(self.context, max(self.app_id or self.integration_id or 0, 0))


class _Checks(BaseModel):
    checks: tuple[_Wanted, ...] = ()


class _Protection(BaseModel):
    required_status_checks: _Checks | None = None


class _Base(BaseModel):
    """The branch that proposals are for, as far as it is protected in the classic way."""

    protection: _Protection = _Protection()


class _Parameters(BaseModel):
    required_status_checks: tuple[_Wanted, ...] = ()


class _Rule(BaseModel):
    """What a ruleset says of the branch."""

    type: str
    parameters: Any = None


class GitHub(Pulls):
    """See `Pulls`. A context manager."""

    _rights = "to read and write contents and pull requests"
    _page_size = ("per_page", 100)
    _full = 100

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
        rows = list(self._pages("/pulls", {**asked, "direction": "desc"}))
        pulls: list[Pull] = self._read(TypeAdapter(list[Pull]), rows)
        # An owner can have several copies of one project, and a branch of that name in each of them.
        found = [proposal_of(pull) for pull in pulls if pull.is_of(branch, self._base)]
        is_open = (one for one in found if one.state is ProposalState.OPEN)
        return next(is_open, None) or next((one for one in found if one.key == key), None)

    def write(self, paper: Paper, number: int = 0) -> Proposal:
        said = {"title": paper.title, "body": paper.sealed}
        if number:
            return self._pull(self._ask("PATCH", f"/pulls/{number}", input=said))
        made = {**said, "head": paper.branch, "base": self._base, "draft": self._settings.draft}
        return self._pull(self._ask("POST", "/pulls", input=made))

    # --- tending ---

    def ready(self, number: int) -> None:
        pull = self._get(number)
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

    # --- what is behind it ---

    def _queue(self, proposal: Proposal) -> None:
        pull = self._get(proposal.number)
        asked = {"pullRequestId": pull.node_id, "expectedHeadOid": proposal.tip}
        try:
            self._mutate("enqueuePullRequest", asked, "mergeQueueEntry { state }")
        except ForgeRefused as error:
            if "already in the queue" not in error.why.lower():
                raise

    def _seen(self, commit: str) -> list[Check]:
        """Both kinds: the check runs of apps, and the statuses of everybody else."""
        rows = self._pages(f"/commits/{commit}/check-runs", {"filter": "latest"}, "check_runs")
        runs: list[_Run] = self._read(TypeAdapter(list[_Run]), list(rows))
        rows = self._pages(f"/commits/{commit}/status", {}, "statuses")
        statuses: list[_Status] = self._read(TypeAdapter(list[_Status]), list(rows))
        return [*(run.check for run in runs), *(status.check for status in statuses)]

    def _required(self) -> list[Required]:
        """By the branch's protection, and by every ruleset that is about it."""
        branch = quote(self._base, safe="")
        base: _Base = self._read(TypeAdapter(_Base), self._ask("GET", f"/branches/{branch}"))
        wanted = list((base.protection.required_status_checks or _Checks()).checks)
        rules: list[_Rule] = self._read(TypeAdapter(list[_Rule]), list(self._pages(f"/rules/branches/{branch}", {})))
        for rule in rules:
            if rule.type == "required_status_checks":
                wanted += self._read(TypeAdapter(_Parameters), rule.parameters).required_status_checks
        return [one.required for one in wanted]

    def _labels(self) -> list[str]:
        return list(self._settings.labels)

    def _ask(
        self, verb: str, path: str, asked: Mapping[str, Any] | None = None, input: Mapping[str, Any] | None = None
    ) -> Any:
        with _translated(self._where, (self._token,)):
            url, asking = f"/repos/{self._project}{path}", self._api.requester
            # Not by the library's own check, which takes "go there" for an answer in which nothing is.
            status, headers, said = asking.requestJson(verb, url, parameters=dict(asked or {}), input=input)
            data = json.loads(said) if said and (status < 300 or said.startswith("{")) else None
        if status == 401:
            forget(self._settings, self._project)
        if status >= 300:
            raise told(self._where, status, _words(data), headers, (self._token,))
        return data

    def _mutate(self, name: str, wanted: dict[str, Any], answer: str) -> None:
        with _translated(self._where, (self._token,)):
            self._api.requester.graphql_named_mutation(name, wanted, answer)


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
        raise told(where, error.status, _words(error.data), error.headers or {}, secrets) from None
    except requests.RequestException as error:
        raise ForgeUnreachable(where, inert(str(error), 300)) from None
    except NONSENSE as error:
        raise ForgeLied(where, "answer", "JSON as GitHub's API has it", inert(str(error), 200)) from None


def _words(said: object) -> str:
    """GitHub's own words: the message, and the list of what is wrong in it, or in a GraphQL answer."""
    data = said if isinstance(said, dict) else {}
    faults = data.get("errors") if isinstance(data.get("errors"), list) else []
    words = [
        fault.get("message") or fault.get("code") or fault.get("type") if isinstance(fault, dict) else fault
        for fault in faults or []
    ]
    return "; ".join(str(word) for word in (data.get("message"), *words) if word)
