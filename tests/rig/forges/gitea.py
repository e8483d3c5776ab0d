"""The dialect of Gitea and Forgejo, checked against Forgejo's published description (swagger.v1.json, by pyforgejo)."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel
from pyforgejo import types as published
from pyforgejo.issue.client import IssueClient
from pyforgejo.repository.client import RepositoryClient

from tests.rig.forges.hub import Denied, Hub, Pull
from tests.rig.forges.published import checked, sent
from tests.rig.forges.server import PROJECT, Answer, Asked, Misfit, route
from watcher.proposal import Checks

_BASE = f"/repos/{PROJECT}"
_DRAFT = "WIP: "


class GiteaDialect:
    """REST under /api/v1."""

    prefixes = ("/api/v1",)

    def is_known(self, asked: Asked, hub: Hub) -> bool:
        return asked.headers.get("authorization") == f"token {hub.token}"

    def denied(self, denied: Denied) -> Any:
        return {"message": denied.said, "url": "https://docs.example/api/swagger"}

    def answer(self, asked: Asked, hub: Hub, home: str) -> Answer:
        handler, parts = route(TABLE, asked)
        return handler(asked, hub, home, *parts)


def _said(kind: type[BaseModel], row: dict[str, Any]) -> dict[str, Any]:
    checked(kind, row, "answer", closed=True)
    return row


def _pull(hub: Hub, pull: Pull, home: str) -> dict[str, Any]:
    merged = pull.state == "merged"
    row = {
        "id": pull.number + 100,
        "number": pull.number,
        "html_url": f"{home}/{PROJECT}/pulls/{pull.number}",
        "title": pull.title,
        "body": pull.body,
        "state": "open" if pull.state == "open" else "closed",
        "draft": pull.title.startswith(_DRAFT),
        "merged": merged,
        "merged_at": "2026-11-02T09:00:00Z" if merged else None,
        "mergeable": not merged,
        "merge_commit_sha": pull.merged_as or None,
        "labels": [_label_row(name) for name in pull.labels],
        "head": _head(hub, pull),
        "base": {"label": pull.base, "ref": pull.base, "sha": hub.origin.tip(pull.base), **_repository(PROJECT)},
    }
    return _said(published.PullRequest, row)


def _head(hub: Hub, pull: Pull) -> dict[str, Any]:
    """As Gitea has it: once the branch is gone, only the label tells its name."""
    there = pull.fork or hub.origin.tip(pull.branch)
    ref = pull.branch if there else f"refs/pull/{pull.number}/head"
    return {"label": pull.branch, "ref": ref, "sha": pull.tip, **_repository(pull.fork or PROJECT)}


def _repository(project: str) -> dict[str, Any]:
    id = 7 if project == PROJECT else 8
    return {"repo_id": id, "repo": {"id": id, "full_name": project}}


_MOST = 20
"""What the server gives at once, however much it is asked for: its MAX_RESPONSE_ITEMS."""


def _page(asked: Asked, rows: list[Any]) -> list[Any]:
    page, limit = int(asked.query.get("page", 1)), min(int(asked.query.get("limit", 30)), _MOST)
    return rows[(page - 1) * limit : page * limit]


def _list(asked: Asked, hub: Hub, home: str) -> Answer:
    sent(RepositoryClient.repo_list_pull_requests, asked.query)
    state = asked.query.get("state", "open")
    found = [p for p in hub.all() if state == "all" or (p.state == "open") == (state == "open")]
    return 200, [_pull(hub, pull, home) for pull in _page(asked, found)]


def _open(asked: Asked, hub: Hub, home: str) -> Answer:
    sent(RepositoryClient.repo_create_pull_request, asked.body)
    body = asked.body
    made = hub.open(body["head"], body["base"], body["title"], body["body"])
    return 201, _pull(hub, hub.edit(made.number, draft=body["title"].startswith(_DRAFT)), home)


def _edit(asked: Asked, hub: Hub, home: str, number: str) -> Answer:
    sent(RepositoryClient.repo_edit_pull_request, asked.body)
    changes = dict(asked.body)
    if "title" in changes:
        changes["draft"] = changes["title"].startswith(_DRAFT)
    return 201, _pull(hub, hub.edit(int(number), **changes), home)


def _merge(asked: Asked, hub: Hub, home: str, number: str) -> Answer:
    sent(RepositoryClient.repo_merge_pull_request, asked.body)
    hub.merge(int(number), asked.body.get("head_commit_id", ""))
    return 200, None


def _label_row(name: str) -> dict[str, Any]:
    return _said(published.Label, {"id": sum(name.encode()), "name": name, "color": "ededed"})


def _labels(asked: Asked, hub: Hub, home: str) -> Answer:
    names = (*(f"kind/{n}" for n in range(_MOST + 5)), *hub.labels)
    return 200, _page(asked, [_label_row(name) for name in names])


def _make_label(asked: Asked, hub: Hub, home: str) -> Answer:
    sent(IssueClient.create_label, asked.body)
    if asked.body["name"] in hub.labels:
        raise Misfit("there are two labels of that name now")
    hub.labels.append(asked.body["name"])
    return 201, _label_row(asked.body["name"])


def _label(asked: Asked, hub: Hub, home: str, number: str) -> Answer:
    sent(IssueClient.add_label, asked.body)
    known = {_label_row(name)["id"]: name for name in hub.labels}
    pull = hub.label(int(number), *(known[id] for id in asked.body["labels"]))
    return 200, [_label_row(name) for name in pull.labels]


def _ask(asked: Asked, hub: Hub, home: str, number: str) -> Answer:
    sent(RepositoryClient.repo_create_pull_review_requests, asked.body)
    hub.ask(int(number), *asked.body["reviewers"], *asked.body["team_reviewers"])
    return 201, []


def _comment(asked: Asked, hub: Hub, home: str, number: str) -> Answer:
    sent(IssueClient.create_comment, asked.body)
    hub.comment(int(number), asked.body["body"])
    return 201, _said(published.Comment, {"id": 1, "body": asked.body["body"]})


_STATE = {Checks.RUNNING: "pending", Checks.GREEN: "success", Checks.RED: "failure"}


def _status(asked: Asked, hub: Hub, home: str, ref: str) -> Answer:
    sent(RepositoryClient.repo_get_combined_status_by_ref, asked.query)
    found = _page(asked, list(hub.checks_of(hub.origin.tip(ref) or ref).items()))
    rows = [_said(published.CommitStatus, {"context": name, "status": _STATE[state]}) for name, state in found]
    row = {"sha": ref, "state": "", "total_count": len(rows), "statuses": rows or None}
    return 200, _said(published.CombinedStatus, row)


def _branch(asked: Asked, hub: Hub, home: str, name: str) -> Answer:
    sent(RepositoryClient.repo_get_branch, asked.query)
    if not hub.origin.tip(name):
        raise Denied(404, "Not Found")
    row = {"name": name, "enable_status_check": bool(hub.required), "status_check_contexts": list(hub.required)}
    return 200, _said(published.Branch, row)


def _project(asked: Asked, hub: Hub, home: str) -> Answer:
    rights = {"admin": False, "pull": True, "push": hub.may_write}
    return 200, _said(published.Repository, {"full_name": PROJECT, "permissions": rights})


TABLE: dict[str, Callable[..., Answer]] = {
    f"GET {_BASE}": _project,
    f"GET {_BASE}/pulls": _list,
    f"POST {_BASE}/pulls": _open,
    f"GET {_BASE}/pulls/{{}}": lambda asked, hub, home, number: (200, _pull(hub, hub.get(int(number)), home)),
    f"PATCH {_BASE}/pulls/{{}}": _edit,
    f"POST {_BASE}/pulls/{{}}/merge": _merge,
    f"POST {_BASE}/pulls/{{}}/requested_reviewers": _ask,
    f"GET {_BASE}/labels": _labels,
    f"POST {_BASE}/labels": _make_label,
    f"POST {_BASE}/issues/{{}}/labels": _label,
    f"POST {_BASE}/issues/{{}}/comments": _comment,
    f"GET {_BASE}/branches/{{*}}": _branch,
    f"GET {_BASE}/commits/{{*}}/status": _status,
}
