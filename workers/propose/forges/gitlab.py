"""GitLab: https://docs.gitlab.com/api/merge_requests/."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any
from urllib.parse import urljoin

import gitlab
import requests
from gitlab.v4.objects import Project, ProjectMergeRequest
from pydantic import ValidationError

from watcher.inert import inert
from watcher.proposal import Proposal, ProposalState
from watcher.settings import ForgeSettings
from workers.propose.forges.errors import (
    NONSENSE,
    ForgeLied,
    ForgeRefused,
    ForgeUnreachable,
    NotThere,
    stay,
    told,
    unreadable,
)
from workers.propose.forges.forge import Paper, key_of
from workers.propose.forges.key import token_of
from workers.propose.forges.merge_request import MergeRequest, proposal_of

_PATIENCE = 20
_PAGE, _MOST_PAGES = 100, 20
_ONCE: Mapping[str, Any] = {"obey_rate_limit": False, "max_retries": 0}
"""One attempt: when to try again is the look's business."""
_DRAFT = "Draft: "
_DEVELOPER = 30
"""The lowest role that pushes branches and opens merge requests."""


class GitLab:
    """One project, and one branch of it that proposals are for. A context manager."""

    def __init__(self, settings: ForgeSettings, project: str, base: str, contact: str = "") -> None:
        self._settings, self._name, self._base, self._contact = settings, project, base, contact
        self._where = f"{settings.address}/{project}"
        self._headers: Mapping[str, str] = {}

    def __enter__(self) -> "GitLab":
        self._token = token_of(self._settings, self._name)
        session = requests.Session()
        session.hooks["response"].append(self._keep)
        self._api = gitlab.Gitlab(
            self._settings.address,
            private_token=self._token,
            timeout=_PATIENCE,
            ssl_verify=os.environ.get("SSL_CERT_FILE") or True,
            user_agent=f"toplayer/{version('toplayer')}{f' ({self._contact})' if self._contact else ''}",
            keep_base_url=True,
            session=session,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._api.session.close()

    # --- opening ---

    def find(self, branch: str, key: str) -> Proposal | None:
        found = [proposal_of(one) for one in self._requests(branch) if one.is_of(branch, self._base)]
        is_open = (one for one in found if one.state is ProposalState.OPEN)
        return next(is_open, None) or next((one for one in found if one.key == key), None)

    def _requests(self, branch: str) -> Iterator[MergeRequest]:
        """Those from a branch of this name, newest first. There is no asking for those of the project itself alone."""
        asked: dict[str, Any] = {"source_branch": branch, "target_branch": self._base, "state": "all", "scope": "all"}
        asked |= {"order_by": "created_at", "sort": "desc", "per_page": _PAGE, "get_all": False}
        for page in range(1, _MOST_PAGES + 1):
            with self._translated():
                rows = [self._read(row) for row in self._project.mergerequests.list(**asked, **_ONCE, page=page)]
            yield from rows
            if len(rows) < _PAGE:
                return

    def write(self, paper: Paper, number: int = 0) -> Proposal:
        if number:
            draft = self._get(number).draft
            said = {"title": f"{_DRAFT if draft else ''}{paper.title}", "description": paper.sealed}
            self._set(number, said)
            return proposal_of(self._get(number))
        title = f"{_DRAFT if self._settings.draft else ''}{paper.title}"
        made = {"source_branch": paper.branch, "target_branch": self._base, "title": title}
        with self._translated():
            wanted = {**made, "description": paper.sealed, "remove_source_branch": True}
            return proposal_of(self._read(self._project.mergerequests.create(wanted, **_ONCE)))

    def invite(self, number: int) -> None:
        wanted: dict[str, Any] = {}
        if self._settings.labels:
            wanted["add_labels"] = ",".join(self._settings.labels)
        if self._settings.reviewers:
            wanted["reviewer_ids"] = [self._person(name) for name in self._settings.reviewers]
        if wanted:
            self._set(number, wanted)

    # --- tending ---

    def look(self, number: int, branch: str) -> Proposal | None:
        request = self._of(number, branch)
        return proposal_of(request, checks=self._settings.wants_checks) if request is not None else None

    def ready(self, number: int) -> None:
        request = self._get(number)
        if request.draft:
            self._set(number, {"title": request.title.removeprefix(_DRAFT)})

    def merge(self, proposal: Proposal) -> None:
        with self._translated():
            project = self._api.projects.get(self._name, **_ONCE)
        # Merging past the train is possible, and would make everything in it start again.
        if getattr(project, "merge_trains_enabled", False):
            path = f"/projects/{project.encoded_id}/merge_trains/merge_requests/{proposal.number}"
            try:
                with self._translated():
                    self._api.http_post(path, post_data={"sha": proposal.tip}, **_ONCE)
            except ForgeRefused as error:
                if "already" not in error.why.lower():
                    raise
            return
        wanted = {
            "sha": proposal.tip,
            "squash": self._settings.method == "squash",
            "should_remove_source_branch": True,
        }
        # Not by the library's own method, which puts what it does not know, the sha among it, into the address.
        path = f"/projects/{project.encoded_id}/merge_requests/{proposal.number}/merge"
        with self._translated():
            self._api.http_put(path, post_data=wanted, **_ONCE)

    def close(self, proposal: Proposal, why: str) -> None:
        request = self._of(proposal.number, proposal.branch)
        if request is not None and request.state == "opened" and key_of(request.description) == proposal.key:
            self._set(proposal.number, {"state_event": "close"})
            with self._translated():
                self._request(proposal.number).notes.create({"body": why}, **_ONCE)

    def greet(self) -> str:
        with self._translated():
            project = self._api.projects.get(self._name, **_ONCE)
        rights = project.attributes.get("permissions") or {}
        levels = [(rights.get(kind) or {}).get("access_level", 0) for kind in ("project_access", "group_access")]
        if max(levels) < _DEVELOPER:
            hint = "it needs the role Developer and the scope api; docs/proposals.md has the list"
            raise ForgeRefused(self._where, "the token may not write to it", hint)
        return f"{self._where} answers, and the token may write there"

    # --- what is behind it ---

    @property
    def _project(self) -> Project:
        return self._api.projects.get(self._name, lazy=True)

    def _request(self, number: int) -> ProjectMergeRequest:
        return self._project.mergerequests.get(number, lazy=True)

    def _of(self, number: int, branch: str) -> MergeRequest | None:
        try:
            request = self._get(number)
        except NotThere:
            # A token that does not see the project any more is told the same: that is for a person.
            with self._translated():
                self._api.projects.get(self._name, **_ONCE)
            return None
        return request if request.is_of(branch, self._base) else None

    def _get(self, number: int) -> MergeRequest:
        with self._translated():
            return self._read(self._project.mergerequests.get(number, **_ONCE))

    def _set(self, number: int, wanted: dict[str, Any]) -> None:
        with self._translated():
            self._project.mergerequests.update(number, wanted, **_ONCE)

    def _person(self, name: str) -> int:
        with self._translated():
            found = self._api.users.list(username=name, get_all=False, **_ONCE)
        if not found:
            raise ForgeRefused(self._where, f"there is no user `{name}`", "check apps.*.forge.reviewers")
        return int(found[0].get_id())

    def _read(self, row: Any) -> MergeRequest:
        try:
            return MergeRequest.model_validate(row.attributes)
        except ValidationError as error:
            raise unreadable(self._where, error) from None

    def _keep(self, response: requests.Response, *_: object, **__: object) -> None:
        """The library's errors have no headers, and those say how long we are to wait.

        It follows wherever it is sent, token and all, and turns what it was to change into something to read.
        """
        self._headers = response.headers
        if response.is_redirect and response.request.method != "GET":
            raise told(self._where, response.status_code, "", response.headers)
        if response.is_redirect:
            stay(self._where, self._settings.address, urljoin(response.url, response.headers["location"]))

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except gitlab.exceptions.GitlabParsingError as error:
            raise ForgeLied(self._where, "answer", "JSON as GitLab's API has it", inert(str(error), 200)) from None
        except gitlab.exceptions.GitlabError as error:
            if error.response_code is None:
                raise ForgeUnreachable(self._where, inert(str(error), 300)) from None
            raise told(
                self._where, error.response_code, str(error.error_message), self._headers, (self._token,)
            ) from None
        except requests.RequestException as error:
            raise ForgeUnreachable(self._where, inert(str(error), 300)) from None
        except NONSENSE as error:
            raise ForgeLied(self._where, "answer", "JSON as GitLab's API has it", inert(str(error), 200)) from None
