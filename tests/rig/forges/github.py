"""GitHub's dialect, checked against the published description (github/rest-api-description, by githubkit-schemas)."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from githubkit_schemas.v2022_11_28 import models as published
from githubkit_schemas.v2022_11_28.rest.checks import ChecksClient
from githubkit_schemas.v2022_11_28.rest.pulls import PullsClient
from githubkit_schemas.v2022_11_28.rest.repos import ReposClient

from tests.rig.forges.hub import Denied, Hub, Pull
from tests.rig.forges.published import checked, sent, whole
from tests.rig.forges.server import PROJECT, Answer, Asked, Misfit, route
from watcher.proposal import Checks

_BASE = f"/repos/{PROJECT}"


class GitHubDialect:
    """REST under /api/v3, GraphQL under /api/graphql, as GitHub Enterprise has them."""

    prefixes = ("/api/v3", "/api")
    app_token = "ghs_an-installation"

    def is_known(self, asked: Asked, hub: Hub) -> bool:
        said = asked.headers.get("authorization", "").split()
        if asked.path.startswith(("/app/", f"{_BASE}/installation")):
            return said[0] == "Bearer" and said[1].count(".") == 2
        return bool(said) and said[-1] in (hub.token, self.app_token)

    def denied(self, denied: Denied) -> Any:
        return {"message": denied.said, "documentation_url": "https://docs.example", "status": str(denied.status)}

    def answer(self, asked: Asked, hub: Hub, home: str) -> Answer:
        if asked.path != "/graphql" and asked.headers.get("x-github-api-version") != "2022-11-28":
            raise Misfit("the version of the API is not asked for")
        handler, parts = route(TABLE, asked)
        return handler(asked, hub, home, *parts)


def _pull(hub: Hub, pull: Pull, home: str, *, one: bool = True) -> dict[str, Any]:
    merged = pull.state == "merged"
    known: dict[str, Any] = {
        "number": pull.number,
        "node_id": f"PR_{pull.number}",
        "html_url": f"{home}/{PROJECT}/pull/{pull.number}",
        "state": "open" if pull.state == "open" else "closed",
        "title": pull.title,
        "body": pull.body or None,
        "draft": pull.draft,
        "head": _end(pull.branch, pull.tip, pull.fork or PROJECT),
        "base": _end(pull.base, hub.origin.tip(pull.base), PROJECT),
        "merged_at": "2026-11-02T09:00:00Z" if merged else None,
        "merge_commit_sha": pull.merged_as or None,
        "labels": [{"name": name} for name in pull.labels],
    }
    known["labels"] = []
    if one:
        behind = pull.state == "open" and hub.strict and hub.is_behind(pull)
        known |= {"merged": merged, "mergeable_state": "behind" if behind else "clean"}
    return whole(published.PullRequest if one else published.PullRequestSimple, known)


def _end(branch: str, tip: str, project: str) -> dict[str, Any]:
    """One end of a pull request."""
    repo = {"id": 7 if project == PROJECT else 8, "full_name": project}
    return {"ref": branch, "sha": tip, "label": f"{project.partition('/')[0]}:{branch}", "repo": repo}


def _list(asked: Asked, hub: Hub, home: str) -> Answer:
    sent(PullsClient.list, asked.query)
    head, base = asked.query.get("head"), asked.query.get("base")
    if head is not None and not head.startswith("team:"):
        raise Misfit("head is owner:branch")
    owner = {p.number: (p.fork or PROJECT).partition("/")[0] for p in hub.all()}
    found = [p for p in hub.all() if head in (None, f"{owner[p.number]}:{p.branch}") and base in (None, p.base)]
    if asked.query.get("state", "open") == "open":
        found = [pull for pull in found if pull.state == "open"]
    return 200, [_pull(hub, pull, home, one=False) for pull in _page(asked, found)]


def _open(asked: Asked, hub: Hub, home: str) -> Answer:
    checked(published.ReposOwnerRepoPullsPostBody, asked.body, "body", closed=True)
    body = asked.body
    try:
        made = hub.open(body["head"], body["base"], body["title"], body["body"], draft=body.get("draft", False))
    except Denied as denied:
        if denied.status == 409:
            raise _Invalid(denied.said) from None
        raise
    return 201, _pull(hub, made, home)


class _Invalid(Denied):
    def __init__(self, said: str) -> None:
        super().__init__(422, f"Validation Failed: {said}")


def _edit(asked: Asked, hub: Hub, home: str, number: str) -> Answer:
    checked(published.ReposOwnerRepoPullsPullNumberPatchBody, asked.body, "body", closed=True)
    return 200, _pull(hub, hub.edit(int(number), **asked.body), home)


def _merge(asked: Asked, hub: Hub, home: str, number: str) -> Answer:
    checked(published.ReposOwnerRepoPullsPullNumberMergePutBody, asked.body, "body", closed=True)
    merged = hub.merge(int(number), asked.body.get("sha", ""))
    return 200, whole(published.PullRequestMergeResult, {"sha": merged.merged_as, "merged": True, "message": "merged"})


def _label(asked: Asked, hub: Hub, home: str, number: str) -> Answer:
    checked(published.ReposOwnerRepoIssuesIssueNumberLabelsPostBodyOneof0, asked.body, "body", closed=True)
    pull = hub.label(int(number), *asked.body["labels"])
    return 200, [whole(published.Label, {"name": name}) for name in pull.labels]


def _comment(asked: Asked, hub: Hub, home: str, number: str) -> Answer:
    checked(published.ReposOwnerRepoIssuesIssueNumberCommentsPostBody, asked.body, "body", closed=True)
    hub.comment(int(number), asked.body["body"])
    return 201, whole(published.IssueComment, {"body": asked.body["body"]})


def _ask(asked: Asked, hub: Hub, home: str, number: str) -> Answer:
    checked(published.ReposOwnerRepoPullsPullNumberRequestedReviewersPostBodyAnyof0, asked.body, "body", closed=True)
    pull = hub.ask(int(number), *asked.body["reviewers"], *asked.body["team_reviewers"])
    return 201, _pull(hub, pull, home, one=False)


_RUN = {
    Checks.RUNNING: ("in_progress", None),
    Checks.GREEN: ("completed", "success"),
    Checks.RED: ("completed", "failure"),
}


def _of(hub: Hub, ref: str, *, runs: bool) -> list[tuple[str, Checks]]:
    """The checks of the commit that are check runs, or the others: those with a slash in their names are statuses."""
    return [one for one in hub.checks_of(hub.origin.tip(ref) or ref).items() if ("/" in one[0]) != runs]


def _runs(asked: Asked, hub: Hub, home: str, ref: str) -> Answer:
    sent(ChecksClient.list_for_ref, asked.query)
    runs = []
    for name, state in _of(hub, ref, runs=True):
        status, conclusion = _RUN[state]
        row = {"name": name, "status": status, "conclusion": conclusion, "app": {"id": _APP}}
        runs.append(whole(published.CheckRun, row))
    return 200, {"total_count": len(runs), "check_runs": _page(asked, runs)}


_APP, _STATE = 15368, {Checks.RUNNING: "pending", Checks.GREEN: "success", Checks.RED: "failure"}


def _status(asked: Asked, hub: Hub, home: str, ref: str) -> Answer:
    sent(ReposClient.get_combined_status_for_ref, asked.query)
    found = _of(hub, ref, runs=False)
    rows = [whole(published.SimpleCommitStatus, {"context": name, "state": _STATE[state]}) for name, state in found]
    # Without any statuses GitHub says "pending".
    known = {"state": "pending", "total_count": len(rows), "statuses": _page(asked, rows)}
    return 200, whole(published.CombinedCommitStatus, known)


def _page(asked: Asked, rows: list[Any]) -> list[Any]:
    page, most = int(asked.query.get("page", 1)), int(asked.query.get("per_page", 30))
    if most > 100:
        raise Misfit(f"per_page {most}")
    return rows[(page - 1) * most : page * most]


def _branch(asked: Asked, hub: Hub, home: str, name: str) -> Answer:
    """Statuses are required by classic protection, and check runs by a ruleset: both are looked for."""
    sent(ReposClient.get_branch, asked.query)
    if not hub.origin.tip(name):
        raise Denied(404, "Branch not found")
    statuses = [one for one in hub.required if "/" in one]
    checks = {"contexts": statuses, "checks": [{"context": one, "app_id": None} for one in statuses]}
    known = {"name": name, "protected": bool(statuses), "protection": {"required_status_checks": checks}}
    row = whole(published.BranchWithProtection, known)
    return 200, row


def _rules(asked: Asked, hub: Hub, home: str, name: str) -> Answer:
    sent(ReposClient.get_branch_rules, asked.query)
    runs = [{"context": one, "integration_id": _APP} for one in hub.required if "/" not in one]
    wanted = {"required_status_checks": runs, "strict_required_status_checks_policy": hub.strict}
    rows = [whole(published.RepositoryRuleDetailedOneof2, {"type": "deletion"})]
    if runs:
        rule = {"type": "required_status_checks", "parameters": wanted}
        rows.append(whole(published.RepositoryRuleDetailedOneof8, rule))
    return 200, _page(asked, rows)


def _project(asked: Asked, hub: Hub, home: str) -> Answer:
    rights = {"admin": False, "pull": True, "push": hub.may_write}
    return 200, whole(published.FullRepository, {"full_name": PROJECT, "permissions": rights})


def _graphql(asked: Asked, hub: Hub, home: str) -> Answer:
    wanted = asked.body["variables"]["input"]
    number = int(wanted["pullRequestId"].removeprefix("PR_"))
    mutation = re.search(r"\b(markPullRequestReadyForReview|enqueuePullRequest)\b", asked.body["query"])
    if mutation is None:
        raise Misfit(f"the mutation of {asked.body['query']}")
    try:
        if mutation[1] == "enqueuePullRequest":
            hub.enqueue(number, wanted["expectedHeadOid"])
            return 200, {"data": {mutation[1]: {"mergeQueueEntry": {"state": "QUEUED"}}}}
        hub.edit(number, draft=False)
    except Denied as denied:
        return 200, {"data": {mutation[1]: None}, "errors": [{"message": denied.said, "type": "UNPROCESSABLE"}]}
    return 200, {"data": {mutation[1]: {"pullRequest": {"isDraft": False}}}}


def _installation(asked: Asked, hub: Hub, home: str) -> Answer:
    return 200, whole(published.Installation, {"id": 7})


def _app_token(asked: Asked, hub: Hub, home: str, id: str) -> Answer:
    until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return 201, whole(published.InstallationToken, {"token": GitHubDialect.app_token, "expires_at": until})


TABLE: dict[str, Callable[..., Answer]] = {
    f"GET {_BASE}": _project,
    f"GET {_BASE}/installation": _installation,
    "POST /app/installations/{}/access_tokens": _app_token,
    f"GET {_BASE}/pulls": _list,
    f"POST {_BASE}/pulls": _open,
    f"GET {_BASE}/pulls/{{}}": lambda asked, hub, home, number: (200, _pull(hub, hub.get(int(number)), home)),
    f"PATCH {_BASE}/pulls/{{}}": _edit,
    f"PUT {_BASE}/pulls/{{}}/merge": _merge,
    f"POST {_BASE}/pulls/{{}}/requested_reviewers": _ask,
    f"POST {_BASE}/issues/{{}}/labels": _label,
    f"POST {_BASE}/issues/{{}}/comments": _comment,
    f"GET {_BASE}/branches/{{*}}": _branch,
    f"GET {_BASE}/rules/branches/{{*}}": _rules,
    f"GET {_BASE}/commits/{{*}}/check-runs": _runs,
    f"GET {_BASE}/commits/{{*}}/status": _status,
    "POST /graphql": _graphql,
}
