"""GitLab's dialect, in the shapes that its documentation shows: docs.gitlab.com/api, merge requests and projects."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from tests.rig.forges.hub import Denied, Hub, Pull
from tests.rig.forges.published import checked, whole
from tests.rig.forges.server import PROJECT, Answer, Asked, Misfit, route
from watcher.proposal import Checks

_BASE = "/projects/{}/merge_requests"
_DRAFT = "Draft: "


class _Documented(BaseModel):
    """A shape as the documentation has it: what it does not name is not there."""

    model_config = ConfigDict(extra="forbid", strict=False)


class _User(_Documented):
    id: int
    username: str
    name: str
    state: str
    web_url: str


class _Pipeline(_Documented):
    id: int
    sha: str
    ref: str
    status: Literal[
        "created", "waiting_for_resource", "preparing", "pending", "running", "success", "failed", "canceled",
        "skipped", "manual", "scheduled",
    ]  # fmt: skip
    web_url: str


class _MergeRequest(_Documented):
    id: int
    iid: int
    project_id: int
    source_project_id: int | None
    target_project_id: int
    title: str
    description: str | None
    state: Literal["opened", "closed", "locked", "merged"]
    created_at: datetime
    updated_at: datetime
    merged_at: datetime | None
    closed_at: datetime | None
    target_branch: str
    source_branch: str
    author: _User
    reviewers: list[_User]
    labels: list[str]
    draft: bool
    merge_when_pipeline_succeeds: bool
    merge_status: str
    detailed_merge_status: str
    sha: str | None
    merge_commit_sha: str | None
    squash_commit_sha: str | None
    should_remove_source_branch: bool | None
    has_conflicts: bool
    web_url: str


class _OneMergeRequest(_MergeRequest):
    head_pipeline: _Pipeline | None
    diverged_commits_count: int | None = None
    rebase_in_progress: bool | None = None
    merge_error: str | None = None


class _NewMergeRequest(_Documented):
    source_branch: str
    target_branch: str
    title: str
    description: str = ""
    labels: str = ""
    reviewer_ids: list[int] = []
    remove_source_branch: bool = False
    squash: bool = False


class _Changes(_Documented):
    title: str = ""
    description: str = ""
    add_labels: str = ""
    reviewer_ids: list[int] = []
    state_event: Literal["close", "reopen", ""] = ""
    target_branch: str = ""


class _Merge(_Documented):
    sha: str = ""
    squash: bool = False
    should_remove_source_branch: bool = False
    merge_when_pipeline_succeeds: bool = False
    auto_merge: bool = False


class _Train(_Documented):
    sha: str = ""
    squash: bool = False
    when_pipeline_succeeds: bool = False
    auto_merge: bool = False


class _Note(_Documented):
    id: int
    body: str
    author: _User
    created_at: datetime


class GitLabDialect:
    """REST under /api/v4."""

    prefixes = ("/api/v4",)

    def is_known(self, asked: Asked, hub: Hub) -> bool:
        return asked.headers.get("private-token") == hub.token

    def denied(self, denied: Denied) -> Any:
        return {"message": denied.said}

    def answer(self, asked: Asked, hub: Hub, home: str) -> Answer:
        handler, parts = route(_TABLE, asked)
        if asked.path.startswith("/projects/") and parts.pop(0) not in (PROJECT, str(_PROJECT)):
            raise Denied(404, "404 Project Not Found")
        return handler(asked, hub, home, *parts)


_PROJECT = 7
_STATUS = {Checks.RUNNING: "running", Checks.GREEN: "success", Checks.RED: "failed"}


def _pipeline(hub: Hub, commit: str) -> Checks:
    """GitLab's own sum: a job that is not required is one that may fail. A pipeline without any job is none."""
    checks = hub.checks_of(commit)
    states = [checks.get(name, Checks.RUNNING) for name in hub.required or checks] if checks else [Checks.NONE]
    return next(one for one in (Checks.RED, Checks.RUNNING, Checks.GREEN, Checks.NONE) if one in states)


def _row(hub: Hub, pull: Pull, home: str, *, one: bool = True) -> dict[str, Any]:
    checks = _pipeline(hub, pull.tip)
    behind = pull.state == "open" and hub.strict and hub.is_behind(pull)
    awaited = "ci_must_pass" if hub.required and checks is not Checks.GREEN else "mergeable"
    known: dict[str, Any] = {
        "iid": pull.number,
        "project_id": _PROJECT,
        "source_project_id": 8 if pull.fork else _PROJECT,
        "target_project_id": _PROJECT,
        "title": pull.title,
        "description": pull.body,
        "state": "opened" if pull.state == "open" else pull.state,
        "source_branch": pull.branch,
        "target_branch": pull.base,
        "reviewers": [whole(_User, {"username": name}) for name in pull.reviewers],
        "labels": list(pull.labels),
        "draft": pull.title.startswith(_DRAFT),
        "merge_when_pipeline_succeeds": False,
        "detailed_merge_status": "need_rebase" if behind else awaited,
        "sha": pull.tip,
        "merge_commit_sha": pull.merged_as or None,
        "web_url": f"{home}/{PROJECT}/-/merge_requests/{pull.number}",
    }
    if one:
        known["head_pipeline"] = {"status": _STATUS[checks], "sha": pull.tip} if checks is not Checks.NONE else None
    return whole(_OneMergeRequest if one else _MergeRequest, known)


def _list(asked: Asked, hub: Hub, home: str) -> Answer:
    known = {"source_branch", "target_branch", "state", "scope", "order_by", "sort", "per_page", "page"}
    if not set(asked.query) <= known:
        raise Misfit(f"query {asked.query}")
    wanted = asked.query["source_branch"], asked.query["target_branch"]
    states = {"all": ("open", "closed", "merged"), "opened": ("open",)}[asked.query["state"]]
    found = [pull for pull in hub.all() if (pull.branch, pull.base) == wanted and pull.state in states]
    page, most = int(asked.query.get("page", 1)), int(asked.query.get("per_page", 20))
    return 200, [_row(hub, pull, home, one=False) for pull in found[(page - 1) * most : page * most]]


def _open(asked: Asked, hub: Hub, home: str) -> Answer:
    checked(_NewMergeRequest, asked.body, "body", closed=True)
    body = asked.body
    try:
        made = hub.open(body["source_branch"], body["target_branch"], body["title"], body["description"])
    except Denied as denied:
        if denied.status == 409:
            raise Denied(409, "Another open merge request already exists for this source branch: !1") from None
        raise
    return 201, _row(hub, hub.edit(made.number, draft=body["title"].startswith(_DRAFT)), home)


def _edit(asked: Asked, hub: Hub, home: str, number: str) -> Answer:
    checked(_Changes, asked.body, "body", closed=True)
    body, pull = asked.body, hub.get(int(number))
    if "title" in body:
        pull = hub.edit(pull.number, title=body["title"], draft=body["title"].startswith(_DRAFT))
    if "description" in body:
        pull = hub.edit(pull.number, body=body["description"])
    if "add_labels" in body:
        pull = hub.label(pull.number, *body["add_labels"].split(","))
    if "reviewer_ids" in body:
        pull = hub.ask(pull.number, *(hub.people[id - 1] for id in body["reviewer_ids"]))
    if body.get("state_event") == "close":
        pull = hub.edit(pull.number, state="closed")
    return 200, _row(hub, pull, home)


def _merge(asked: Asked, hub: Hub, home: str, number: str) -> Answer:
    checked(_Merge, asked.body, "body", closed=True)
    return 200, _row(hub, hub.merge(int(number), asked.body.get("sha", "")), home)


def _train(asked: Asked, hub: Hub, home: str, number: str) -> Answer:
    checked(_Train, asked.body, "body", closed=True)
    hub.enqueue(int(number), asked.body.get("sha", ""))
    return 201, []


def _note(asked: Asked, hub: Hub, home: str, number: str) -> Answer:
    hub.comment(int(number), asked.body["body"])
    return 201, whole(_Note, {"body": asked.body["body"]})


def _project(asked: Asked, hub: Hub, home: str) -> Answer:
    rights = {"project_access": {"access_level": 30 if hub.may_write else 20}, "group_access": None}
    row = {"id": _PROJECT, "path_with_namespace": PROJECT, "permissions": rights, "merge_trains_enabled": hub.queue}
    return 200, row


def _users(asked: Asked, hub: Hub, home: str) -> Answer:
    wanted = asked.query["username"]
    found = [(n, name) for n, name in enumerate(hub.people, 1) if name == wanted]
    return 200, [whole(_User, {"id": n, "username": name}) for n, name in found]


_TABLE: dict[str, Callable[..., Answer]] = {
    "GET /projects/{}": _project,
    "GET /users": _users,
    f"GET {_BASE}": _list,
    f"POST {_BASE}": _open,
    f"GET {_BASE}/{{}}": lambda asked, hub, home, number: (200, _row(hub, hub.get(int(number)), home)),
    f"PUT {_BASE}/{{}}": _edit,
    f"PUT {_BASE}/{{}}/merge": _merge,
    f"POST {_BASE}/{{}}/notes": _note,
    "POST /projects/{}/merge_trains/merge_requests/{}": _train,
}
