"""A forge without a wire: the same hub that the servers of the tests have behind them, spoken to directly."""

from http import HTTPStatus

from tests.rig.forges.hub import Denied, Hub, Pull
from watcher.errors import ToplayerError
from watcher.proposal import Checks, Proposal, ProposalState
from watcher.settings import ForgeSettings
from workers.propose.forges.checks import Check, Required, verdict
from workers.propose.forges.errors import told
from workers.propose.forges.forge import Paper, key_of


class FakeForge:
    """One project of one hub."""

    def __init__(self, hub: Hub, settings: ForgeSettings, base: str = "main") -> None:
        self._hub, self._settings, self._base = hub, settings, base

    def find(self, branch: str, key: str) -> Proposal | None:
        mine = [pull for pull in self._hub.all() if self._is_of(pull, branch)]
        found = next((pull for pull in mine if pull.state == "open"), None)
        found = found or next((pull for pull in mine if key_of(pull.body) == key), None)
        return self._proposal(found) if found else None

    def write(self, paper: Paper, number: int = 0) -> Proposal:
        try:
            if number:
                return self._proposal(self._hub.edit(number, title=paper.title, body=paper.sealed))
            draft = self._settings.draft
            return self._proposal(self._hub.open(paper.branch, self._base, paper.title, paper.sealed, draft=draft))
        except Denied as denied:
            raise self._said(denied) from None

    def invite(self, number: int) -> None:
        try:
            self._hub.label(number, *self._settings.labels)
            self._hub.ask(number, *self._settings.reviewers)
        except Denied as denied:
            raise self._said(denied) from None

    def look(self, number: int, branch: str) -> Proposal | None:
        if not self._hub.is_there:
            raise self._said(Denied(HTTPStatus.NOT_FOUND, "Not Found"))
        pull = next((one for one in self._hub.all() if one.number == number), None)
        if pull is None or not self._is_of(pull, branch):
            return None
        wanted = pull.state == "open" and self._settings.wants_checks
        checks = [Check(name, state) for name, state in self._hub.checks_of(pull.tip).items()]
        required = [Required(name) for name in self._hub.required]
        return self._proposal(pull, verdict(checks, required) if wanted else Checks.NONE)

    def ready(self, number: int) -> None:
        self._hub.edit(number, draft=False)

    def merge(self, proposal: Proposal) -> None:
        try:
            if not self._hub.queue:
                self._hub.merge(proposal.number, proposal.tip)
            elif not self._hub.get(proposal.number).queued:
                self._hub.enqueue(proposal.number, proposal.tip)
        except Denied as denied:
            raise self._said(denied) from None

    def close(self, proposal: Proposal, why: str) -> None:
        seen = self.look(proposal.number, proposal.branch)
        if seen is not None and seen.state is ProposalState.OPEN and seen.key == proposal.key:
            self._hub.edit(proposal.number, state="closed")
            self._hub.comment(proposal.number, why)

    def greet(self) -> str:
        if not self._hub.may_write:
            raise self._said(Denied(HTTPStatus.FORBIDDEN, "the token may read it, and not write to it"))
        return "forge.example/team/shop answers, and the token may write there"

    def _is_of(self, pull: Pull, branch: str) -> bool:
        return (pull.branch, pull.base, pull.fork) == (branch, self._base, "")

    def _said(self, denied: Denied) -> ToplayerError:
        return told("forge.example/team/shop", denied.status, denied.said, {})

    def _proposal(self, pull: Pull, checks: Checks = Checks.NONE) -> Proposal:
        return Proposal(
            number=pull.number,
            url=f"https://forge.example/team/shop/{pull.number}",
            branch=pull.branch,
            tip=pull.tip,
            state=ProposalState(pull.state),
            key=key_of(pull.body),
            draft=pull.draft,
            checks=checks,
            merged_as=pull.merged_as,
        )
