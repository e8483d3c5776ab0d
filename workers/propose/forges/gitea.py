"""Gitea and Forgejo, whose APIs are the same here: https://docs.gitea.com/api, and /api/swagger on every server."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from pydantic import BaseModel, TypeAdapter

from watcher.errors import IndexUnreachable
from watcher.http import Http, Limits, Request
from watcher.inert import inert
from watcher.proposal import Checks, Proposal
from workers.propose.forges.checks import Check, Required
from workers.propose.forges.errors import NO_WORD, ForgeLied, ForgeUnreachable, stay, told
from workers.propose.forges.forge import Paper, key_of
from workers.propose.forges.key import token_of
from workers.propose.forges.pulls import Pull, Pulls, proposal_of

LIMITS = Limits(deadline=60.0, stall=20.0, attempts=1, patience=0.0, largest=16_000_000)
"""One attempt: a proposal that is asked for twice could become two."""
_DRAFT = "WIP: "
_PAGE = 50
_CHECKS = {
    "success": Checks.GREEN,
    "warning": Checks.GREEN,
    "skipped": Checks.GREEN,
    "failure": Checks.RED,
    "error": Checks.RED,
}
_COLOUR = "#ededed"


class _Label(BaseModel):
    id: int
    name: str


class _Status(BaseModel):
    context: str
    status: str


class _Base(BaseModel):
    """The branch that proposals are for, as far as it is protected."""

    enable_status_check: bool = False
    status_check_contexts: tuple[str, ...] | None = None


class Gitea(Pulls):
    """See `Pulls`. A context manager."""

    _rights = "write:repository and write:issue"
    _page_size = ("limit", _PAGE)
    _full = 1  # a server may give less than it is asked for (MAX_RESPONSE_ITEMS), so only a page of nothing is the end

    def __enter__(self) -> "Gitea":
        self._token = token_of(self._settings, self._project)
        self._url = f"{self._settings.address}/api/v1/repos/{self._project}"
        self._http = Http(self._contact, limits=LIMITS)
        self._http.__enter__()
        return self

    def __exit__(self, *_: Any) -> None:
        self._http.__exit__(None, None, None)

    # --- opening ---

    def find(self, branch: str, key: str) -> Proposal | None:
        pull = next((one for one in self._open_ones() if one.is_of(branch, self._base)), None)
        if pull is None:
            asked = {"state": "closed", "sort": "recentupdate", "limit": _PAGE}
            closed: list[Pull] = self._read(TypeAdapter(list[Pull]), self._ask("GET", "/pulls", asked))
            mine = (one for one in closed if one.is_of(branch, self._base))
            pull = next((one for one in mine if key_of(one.body) == key), None)
        return proposal_of(pull) if pull else None

    def _open_ones(self) -> Iterator[Pull]:
        for row in self._pages("/pulls", {"state": "open"}):
            yield self._read(TypeAdapter(Pull), row)

    def write(self, paper: Paper, number: int = 0) -> Proposal:
        if number:
            draft = self._get(number).draft
            said = {"title": f"{_DRAFT if draft else ''}{paper.title}", "body": paper.sealed}
            return self._pull(self._ask("PATCH", f"/pulls/{number}", input=said))
        title = f"{_DRAFT if self._settings.draft else ''}{paper.title}"
        made = {"head": paper.branch, "base": self._base, "title": title, "body": paper.sealed}
        return self._pull(self._ask("POST", "/pulls", input=made))

    # --- tending ---

    def ready(self, number: int) -> None:
        pull = self._get(number)
        if pull.draft:
            self._ask("PATCH", f"/pulls/{number}", input={"title": pull.title.removeprefix(_DRAFT)})

    def merge(self, proposal: Proposal) -> None:
        wanted = {"Do": self._settings.method, "head_commit_id": proposal.tip, "delete_branch_after_merge": True}
        self._ask("POST", f"/pulls/{proposal.number}/merge", input=wanted)

    # --- what is behind it ---

    def _seen(self, commit: str) -> list[Check]:
        rows = list(self._pages(f"/commits/{quote(commit, safe='')}/status", {}, "statuses"))
        found: list[_Status] = self._read(TypeAdapter(list[_Status]), rows)
        return [Check(one.context, _CHECKS.get(one.status, Checks.RUNNING)) for one in found]

    def _required(self) -> list[Required]:
        base: _Base = self._read(TypeAdapter(_Base), self._ask("GET", f"/branches/{quote(self._base, safe='')}"))
        wanted = base.status_check_contexts or () if base.enable_status_check else ()
        return [Required(name, is_pattern=True) for name in wanted]

    def _labels(self) -> list[int]:
        return [self._label(name) for name in self._settings.labels]

    def _label(self, name: str) -> int:
        rows = list(self._pages("/labels", {}))
        known: dict[str, int] = {label.name: label.id for label in self._read(TypeAdapter(list[_Label]), rows)}
        if name not in known:
            row = self._ask("POST", "/labels", input={"name": name, "color": _COLOUR})
            made: _Label = self._read(TypeAdapter(_Label), row)
            return made.id
        return known[name]

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
        stay(self._where, self._settings.address, answer.url)
        try:
            said = json.loads(answer.body) if answer.body else None
        except (ValueError, RecursionError) as error:
            raise ForgeLied(self._where, "answer", "JSON", inert(str(error), 200)) from None
        if answer.status < 300:
            return said
        why = str(said.get("message", "")) if isinstance(said, dict) else ""
        raise told(self._where, answer.status, why, answer.headers, (self._token,))
