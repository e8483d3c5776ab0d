"""A merge request of GitLab: what the API says of one, and what that is in our words. Pure."""

import re
from typing import Literal

from pydantic import BaseModel

from watcher.inert import inert
from watcher.proposal import Checks, Proposal, ProposalState
from workers.propose.forges.forge import key_of

_CHECKS = {"success": Checks.GREEN, "failed": Checks.RED, "canceled": Checks.RED, "skipped": Checks.NONE}
"""What is none of these is still on its way, or waits for a person. Jobs that may fail do not make a pipeline fail."""
_AWAITED = ("ci_must_pass", "ci_still_running", "status_checks_must_pass")
"""What GitLab says of a merge request that it does not merge before something is green."""
_STATES = {"merged": ProposalState.MERGED, "closed": ProposalState.CLOSED}


_OF_A_MERGE = re.compile(r"refs/merge-requests/\d+/(merge|train)")


class Pipeline(BaseModel):
    """The newest run of the checks, whichever commit it is of."""

    status: str
    sha: str
    ref: str

    def is_of(self, commit: str | None) -> bool:
        """Whether it is the commit's: right after a push it may be the one before's. That of a merge has its own."""
        return self.sha == commit or _OF_A_MERGE.fullmatch(self.ref) is not None


class MergeRequest(BaseModel):
    """A merge request; its pipeline is only in the answer for a single one."""

    iid: int
    web_url: str
    title: str
    description: str | None
    state: Literal["opened", "closed", "locked", "merged"]
    source_branch: str
    target_branch: str
    source_project_id: int | None
    target_project_id: int
    sha: str | None
    draft: bool = False
    detailed_merge_status: str = ""
    merge_when_pipeline_succeeds: bool = False
    merge_commit_sha: str | None = None
    squash_commit_sha: str | None = None
    head_pipeline: Pipeline | None = None

    def is_of(self, branch: str, base: str) -> bool:
        """Whether it is for `base`, and from this branch of the project itself. A copy of it can have one, too."""
        at_home = self.source_project_id == self.target_project_id
        return at_home and (self.source_branch, self.target_branch) == (branch, base)


def proposal_of(request: MergeRequest, *, checks: bool = False) -> Proposal:
    """The merge request in our words; with `checks`, if it is known how they stand."""
    state = _STATES.get(request.state, ProposalState.OPEN)
    return Proposal(
        number=request.iid,
        url=inert(request.web_url, 500),
        branch=request.source_branch,
        tip=request.sha or "",
        state=state,
        key=key_of(request.description),
        draft=request.draft,
        checks=_checks(request) if checks and state is ProposalState.OPEN else Checks.NONE,
        behind=request.detailed_merge_status == "need_rebase",
        queued=request.merge_when_pipeline_succeeds,
        merged_as=(request.merge_commit_sha or request.squash_commit_sha or request.sha or "")
        if state is ProposalState.MERGED
        else "",
    )


def _checks(request: MergeRequest) -> Checks:
    """The pipeline, and what else GitLab waits for: checks of others, or a pipeline that has not begun."""
    pipeline = request.head_pipeline
    state = Checks.NONE
    if pipeline is not None:
        state = _CHECKS.get(pipeline.status, Checks.RUNNING) if pipeline.is_of(request.sha) else Checks.RUNNING
    awaited = request.detailed_merge_status in _AWAITED and state is not Checks.RED
    return Checks.RUNNING if awaited else state
