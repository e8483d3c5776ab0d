"""Gitea and Forgejo, whose APIs are the same here: https://docs.gitea.com/api, and /api/swagger on every server."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal
from urllib.parse import urlencode

from pydantic import BaseModel, TypeAdapter

from watcher.errors import IndexUnreachable
from watcher.http import Http, Limits, Request
from watcher.inert import inert
from watcher.proposal import Checks, Proposal, ProposalState
from watcher.settings import ForgeSettings
from workers.propose.forges.errors import NO_WORD, ForgeLied, ForgeRefused, ForgeUnreachable, told
from workers.propose.forges.forge import Paper, key_of
from workers.propose.forges.key import token_of
from workers.propose.forges.shape import Branch, Project, Status, read

LIMITS = Limits(deadline=60.0, stall=20.0, attempts=1, patience=0.0, largest=16_000_000)
"""One attempt: a proposal that is asked for twice could become two."""
_DRAFT = "WIP: "
_PAGE, _MOST_PAGES = 50, 20
_CHECKS = {
    "success": Checks.GREEN,
    "warning": Checks.GREEN,
    "failure": Checks.RED,
    "error": Checks.RED,
    "skipped": Checks.GREEN,
}
_COLOUR = "#ededed"


class _Pull(BaseModel):
    number: int
    html_url: str
    title: str
    body: str | None
    state: Literal["open", "closed"]
    merged: bool
    merge_commit_sha: str | None = None
    draft: bool = False
    head: Branch
    base: Branch


class _Label(BaseModel):
    id: int
    name: str


class Gitea:
    """One project, and one branch of it that proposals are for. A context manager."""

    def __init__(self, settings: ForgeSettings, project: str, base: str, contact: str = "") -> None:
        self._settings, self._base, self._contact = settings, base, contact
        self._where = f"{settings.address}/{project}"
        self._url = f"{settings.address}/api/v1/repos/{project}"
        self._project = project

    def __enter__(self) -> "Gitea":
        self._token = token_of(self._settings, self._project)
        self._http = Http(self._contact, limits=LIMITS)
        self._http.__enter__()
        return self

    def __exit__(self, *_: Any) -> None:
        self._http.__exit__(None, None, None)

    # --- opening ---

    def find(self, branch: str, key: str) -> Proposal | None:
        mine = (pull for pull in self._open_ones() if pull.head.ref == branch and pull.base.ref == self._base)
        pull = next(mine, None)
        if pull is None:
            closed = self._list({"state": "closed", "sort": "recentupdate", "limit": _PAGE})
            pull = next((one for one in closed if one.head.ref == branch and key_of(one.body) == key), None)
        return _proposal(pull) if pull else None

    def _open_ones(self) -> Iterator[_Pull]:
        for page in range(1, _MOST_PAGES + 1):
            pulls = self._list({"state": "open", "limit": _PAGE, "page": page})
            yield from pulls
            if not pulls:
                return

    def _list(self, asked: Mapping[str, Any]) -> list[_Pull]:
        found: list[_Pull] = self._read(TypeAdapter(list[_Pull]), self._ask("GET", "/pulls", asked))
        return found

    def write(self, paper: Paper, number: int = 0) -> Proposal:
        if number:
            draft = self._get(number).draft
            said = {"title": f"{_DRAFT if draft else ''}{paper.title}", "body": paper.sealed}
            return self._pull(self._ask("PATCH", f"/pulls/{number}", input=said))
        title = f"{_DRAFT if self._settings.draft else ''}{paper.title}"
        made = {"head": paper.branch, "base": self._base, "title": title, "body": paper.sealed}
        return self._pull(self._ask("POST", "/pulls", input=made))

    def invite(self, number: int) -> None:
        if self._settings.labels:
            ids = [self._label(name) for name in self._settings.labels]
            self._ask("POST", f"/issues/{number}/labels", input={"labels": ids})
        if self._settings.reviewers:
            people = [reviewer for reviewer in self._settings.reviewers if "/" not in reviewer]
            teams = [reviewer.rpartition("/")[2] for reviewer in self._settings.reviewers if "/" in reviewer]
            asked = {"reviewers": people, "team_reviewers": teams}
            self._ask("POST", f"/pulls/{number}/requested_reviewers", input=asked)

    # --- tending ---

    def look(self, number: int) -> Proposal:
        pull = self._get(number)
        if pull.state != "open" or not self._settings.wants_checks:
            return _proposal(pull)
        status = self._read(TypeAdapter(Status), self._ask("GET", f"/commits/{pull.head.sha}/status"))
        checks = _CHECKS.get(status.state, Checks.RUNNING) if status.total_count else Checks.NONE
        return _proposal(pull, checks)

    def ready(self, number: int) -> None:
        pull = self._get(number)
        if pull.draft:
            self._ask("PATCH", f"/pulls/{number}", input={"title": pull.title.removeprefix(_DRAFT)})

    def merge(self, proposal: Proposal) -> None:
        wanted = {"Do": self._settings.method, "head_commit_id": proposal.tip, "delete_branch_after_merge": True}
        self._ask("POST", f"/pulls/{proposal.number}/merge", input=wanted)

    def close(self, number: int, why: str) -> None:
        if self._get(number).state == "open":
            self._ask("PATCH", f"/pulls/{number}", input={"state": "closed"})
            self._ask("POST", f"/issues/{number}/comments", input={"body": why})

    def greet(self) -> str:
        project = self._read(TypeAdapter(Project), self._ask("GET", ""))
        if not project.permissions.push:
            hint = "it needs write:repository and write:issue; docs/proposals.md has the list"
            raise ForgeRefused(self._where, "the token may read it, and not write to it", hint)
        return f"{self._where} answers, and the token may write there"

    # --- what is behind it ---

    def _get(self, number: int) -> _Pull:
        pull: _Pull = self._read(TypeAdapter(_Pull), self._ask("GET", f"/pulls/{number}"))
        return pull

    def _pull(self, row: object) -> Proposal:
        return _proposal(self._read(TypeAdapter(_Pull), row))

    def _label(self, name: str) -> int:
        rows = self._ask("GET", "/labels", {"limit": _PAGE})
        known: dict[str, int] = {label.name: label.id for label in self._read(TypeAdapter(list[_Label]), rows)}
        if name not in known:
            row = self._ask("POST", "/labels", input={"name": name, "color": _COLOUR})
            made: _Label = self._read(TypeAdapter(_Label), row)
            return made.id
        return known[name]

    def _read(self, shape: TypeAdapter[Any], row: object) -> Any:
        return read(shape, row, self._where)

    def _ask(
        self, verb: str, path: str, asked: Mapping[str, Any] | None = None, input: Mapping[str, Any] | None = None
    ) -> Any:
        headers = {"authorization": f"token {self._token}", "accept": "application/json"}
        body = json.dumps(input).encode() if input is not None else b""
        if body:
            headers["content-type"] = "application/json"
        url = f"{self._url}{path}{f'?{urlencode(asked)}' if asked else ''}"
        try:
            answer = self._http.one(Request(url, headers, verb, body, private=True))
        except IndexUnreachable as error:
            wait = NO_WORD if error.retry_after is None and " 429" in error.why else error.retry_after
            raise ForgeUnreachable(self._where, error.why, wait) from None
        try:
            said = json.loads(answer.body) if answer.body else None
        except ValueError as error:
            raise ForgeLied(self._where, "answer", "JSON", inert(str(error), 200)) from None
        if answer.status < 300:
            return said
        why = str(said.get("message", "")) if isinstance(said, dict) else ""
        raise told(self._where, answer.status, why, answer.headers, (self._token,))


def _proposal(pull: _Pull, checks: Checks = Checks.NONE) -> Proposal:
    state = ProposalState.OPEN if pull.state == "open" else ProposalState.CLOSED
    state = ProposalState.MERGED if pull.merged else state
    return Proposal(
        number=pull.number,
        url=inert(pull.html_url, 500),
        branch=pull.head.ref,
        tip=pull.head.sha,
        state=state,
        key=key_of(pull.body),
        draft=pull.draft,
        checks=checks,
        merged_as=(pull.merge_commit_sha or "") if state is ProposalState.MERGED else "",
    )
