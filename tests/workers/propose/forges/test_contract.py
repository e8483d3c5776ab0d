"""What every forge does, whoever made it: the doors against servers that check each word, and the fake of the tests."""

import json
from dataclasses import replace

import pytest

from tests.rig.forges.hub import Hub
from tests.rig.forges.server import Fault, ForgeServer
from tests.workers.propose.forges.conftest import BRANCH, WITH_QUEUES, OpenForge, app_on, opened
from watcher.errors import Refused, Temporary
from watcher.proposal import Checks, Proposal, ProposalState
from workers.propose.forges.errors import BranchBehind, ForgeRefused, ForgeUnreachable
from workers.propose.forges.forge import Forge, Paper

PAPER = Paper(branch=BRANCH, title="Bump side from 1.0 to 1.1", body="| a | table |", key="0123456789abcdef")


def look_at(forge: Forge, number: int) -> Proposal:
    found = forge.look(number, BRANCH)
    assert found is not None
    return found


def test_nothing_is_found_where_nothing_is_open(on_forge: OpenForge) -> None:
    with on_forge() as forge:
        assert forge.find(BRANCH, PAPER.key) is None


def test_what_is_written_is_found_by_its_branch(on_forge: OpenForge, hub: Hub) -> None:
    with on_forge() as forge:
        made = forge.write(PAPER)
        found = forge.find(BRANCH, "another key")
    assert found == made
    assert (made.branch, made.tip, made.state, made.key) == (BRANCH, hub.origin.tip(BRANCH), "open", PAPER.key)
    (pull,) = hub.all()
    assert (pull.title, pull.base) == (PAPER.title, "main")
    assert pull.body.startswith(PAPER.body)


def test_there_is_never_a_second_one(on_forge: OpenForge, hub: Hub) -> None:
    with on_forge() as forge:
        forge.write(PAPER)
        with pytest.raises(ForgeUnreachable):
            forge.write(PAPER)
    assert len(hub.all()) == 1


def test_one_that_is_open_is_written_anew(on_forge: OpenForge, hub: Hub) -> None:
    with on_forge() as forge:
        number = forge.write(PAPER).number
        newer = forge.write(replace(PAPER, title="Bump side from 1.0 to 1.2", key="f" * 16), number)
        assert forge.find(BRANCH, PAPER.key) == newer
    assert (newer.number, newer.key) == (number, "f" * 16)
    assert [pull.title for pull in hub.all()] == ["Bump side from 1.0 to 1.2"]


def test_one_that_was_closed_is_found_by_what_it_was_opened_for_and_by_nothing_else(
    on_forge: OpenForge, hub: Hub
) -> None:
    with on_forge() as forge:
        number = forge.write(PAPER).number
        hub.edit(number, state="closed")
        found = forge.find(BRANCH, PAPER.key)
        assert found is not None
        assert (found.number, found.state) == (number, ProposalState.CLOSED)
        assert forge.find(BRANCH, "f" * 16) is None


def test_one_that_was_closed_is_found_when_its_branch_is_gone_too(on_forge: OpenForge, hub: Hub) -> None:
    with on_forge() as forge:
        made = forge.write(PAPER)
        hub.edit(made.number, state="closed")
        hub.origin.git("update-ref", "-d", f"refs/heads/{BRANCH}")
        found = forge.find(BRANCH, PAPER.key)
    assert found is not None
    assert (found.number, found.branch) == (made.number, BRANCH)


@pytest.mark.parametrize("fork", ["mallory/shop", "team/shop-copy"])
def test_a_branch_of_that_name_in_a_copy_of_the_project_is_not_ours(on_forge: OpenForge, hub: Hub, fork: str) -> None:
    seal = f"<!-- toplayer: {PAPER.key} -->"
    for _ in range(110):
        hub.open_from_fork(BRANCH, body=seal, fork=fork)
    hub.edit(1, state="closed")
    with on_forge() as forge:
        assert forge.find(BRANCH, PAPER.key) is None
        made = forge.write(PAPER)
        for _ in range(110):
            hub.open_from_fork(BRANCH, body=seal, fork=fork)
        assert forge.find(BRANCH, PAPER.key) == made
        hub.edit(made.number, state="closed")
        found = forge.find(BRANCH, PAPER.key)
    assert found is not None
    assert found.number == made.number


def test_a_number_that_somebody_else_s_proposal_has_is_not_ours(on_forge: OpenForge, hub: Hub) -> None:
    """Because the settings name another project since, say."""
    hub.origin.write({"app.py": "print(2)\n"}, "Another's", "feature")
    hub.origin.git("update-ref", "refs/heads/stable", hub.origin.tip())
    others = [
        hub.open("feature", "main", "A colleague's", ""),
        hub.open(BRANCH, "stable", "To another branch", ""),
        hub.open_from_fork(BRANCH),
    ]
    with on_forge() as forge:
        mine = forge.write(PAPER)
        for other in others:
            assert forge.look(other.number, BRANCH) is None
            forge.close(replace(mine, number=other.number), "it has ended")
        assert forge.look(mine.number, BRANCH) == mine
    assert [hub.get(other.number).state for other in others] == ["open"] * 3
    assert [hub.get(other.number).comments for other in others] == [()] * 3


def test_one_that_was_deleted_is_none_and_a_project_that_is_not_there_is_a_matter_for_a_person(
    on_forge: OpenForge, hub: Hub
) -> None:
    with on_forge() as forge:
        made = forge.write(PAPER)
        del hub.pulls[made.number]
        assert forge.look(made.number, BRANCH) is None
        forge.close(made, "it has ended")
        hub.is_there = False
        with pytest.raises(ForgeRefused, match="404"):
            forge.look(made.number, BRANCH)


def test_a_key_that_somebody_else_wrote_into_the_body_is_none(on_forge: OpenForge, hub: Hub) -> None:
    with on_forge() as forge:
        made = forge.write(replace(PAPER, body="<!-- toplayer: eeeeeeeeeeeeeeee -->"))
        hub.edit(made.number, state="closed")
        assert forge.find(BRANCH, "eeeeeeeeeeeeeeee") is None
        assert forge.find(BRANCH, PAPER.key) is not None


def test_what_a_bot_writes_below_makes_it_nobody_else_s(on_forge: OpenForge, hub: Hub) -> None:
    summary = "\n\n<!-- a bot -->\n## Summary\n```text\n<!-- toplayer: eeeeeeeeeeeeeeee -->\n```\n"
    with on_forge() as forge:
        made = forge.write(PAPER)
        hub.edit(made.number, body=hub.get(made.number).body + summary)
        assert look_at(forge, made.number).key == PAPER.key


def test_labels_and_reviewers_are_asked_for_and_twice_is_once(on_forge: OpenForge, hub: Hub) -> None:
    with on_forge(labels=["dependencies", "bot's own"], reviewers=["anna"]) as forge:
        number = forge.write(PAPER).number
        forge.invite(number)
        forge.invite(number)
    assert (hub.get(number).labels, hub.get(number).reviewers) == (("dependencies", "bot's own"), ("anna",))


def test_a_reviewer_that_is_not_there_is_told(on_forge: OpenForge) -> None:
    with on_forge(reviewers=["zoe"]) as forge:
        number = forge.write(PAPER).number
        with pytest.raises(ForgeRefused, match="zoe"):
            forge.invite(number)


@pytest.mark.parametrize("checks", list(Checks))
def test_the_checks_of_the_commit_are_seen(on_forge: OpenForge, hub: Hub, checks: Checks) -> None:
    hub.checks[hub.origin.tip(BRANCH)] = checks
    with on_forge(automerge="checks") as forge:
        number = forge.write(PAPER).number
        assert look_at(forge, number).checks is checks


R, G, W = Checks.RED, Checks.GREEN, Checks.RUNNING


@pytest.mark.parametrize(
    ("required", "seen", "verdict"),
    [
        (("ci", "lint/style"), {"ci": G, "lint/style": G, "flaky": R, "slow/one": W}, G),
        (("ci", "lint/style"), {"ci": G, "lint/style": W, "flaky": G}, W),
        (("ci", "lint/style"), {"ci": R, "lint/style": W}, R),
        (("ci", "lint/style"), {"ci": G}, W),
        (("ci",), {}, W),
        ((), {"ci": G, "lint/style": R}, R),
        ((), {f"ci {n}": G for n in range(120)} | {"last": R}, R),
    ],
    ids=["others may fail", "one runs", "one failed", "one has not reported", "none has", "all count", "many"],
)
def test_where_checks_are_required_the_others_do_not_count(
    on_forge: OpenForge, hub: Hub, required: tuple[str, ...], seen: dict[str, Checks], verdict: Checks
) -> None:
    hub.required = required
    hub.others[hub.origin.tip(BRANCH)] = seen
    with on_forge(automerge="checks") as forge:
        assert look_at(forge, forge.write(PAPER).number).checks is verdict


@pytest.mark.parametrize("server", ["github", "gitea"], indirect=True)
def test_a_forge_that_does_not_tell_what_is_required_has_all_checks_counted(server: ForgeServer) -> None:
    server.hub.required = ("ci",)
    server.hub.others[server.hub.origin.tip(BRANCH)] = {"ci": Checks.GREEN, "slow/one": Checks.RUNNING}
    server.faults.append(Fault("GET .*/branches/", 403, "Upgrade to GitHub Pro to enable this feature."))
    with opened(app_on(server, automerge="checks")) as forge:
        assert look_at(forge, forge.write(PAPER).number).checks is Checks.RUNNING


@pytest.mark.parametrize("server", ["gitlab"], indirect=True)
@pytest.mark.parametrize(
    ("of", "ref", "verdict"),
    [
        ("the commit before", BRANCH, Checks.RUNNING),
        ("the commit before", "refs/merge-requests/1/head", Checks.RUNNING),
        ("the merge", "refs/merge-requests/1/merge", Checks.GREEN),
    ],
)
def test_a_pipeline_of_another_commit_says_nothing(server: ForgeServer, of: str, ref: str, verdict: Checks) -> None:
    with opened(app_on(server, automerge="checks")) as forge:
        number = forge.write(PAPER).number
        row = {"status": "success", "sha": of, "ref": ref}
        said = {"iid": number, "web_url": "u", "title": "t", "description": "", "state": "opened", "sha": "the tip"}
        ends = {"source_branch": BRANCH, "target_branch": "main", "source_project_id": 7, "target_project_id": 7}
        whole = {**said, **ends, "detailed_merge_status": "mergeable", "head_pipeline": row}
        server.faults.append(Fault("GET .*/merge_requests/1$", 200, raw=json.dumps(whole).encode()))
        assert look_at(forge, number).checks is verdict


def test_nobody_asks_for_checks_that_nothing_depends_on(on_forge: OpenForge, hub: Hub) -> None:
    hub.checks[hub.origin.tip(BRANCH)] = Checks.RED
    with on_forge() as forge:
        assert look_at(forge, forge.write(PAPER).number).checks is Checks.NONE


def test_a_draft_becomes_ready_and_keeps_its_title(on_forge: OpenForge, hub: Hub) -> None:
    with on_forge(draft=True) as forge:
        number = forge.write(PAPER).number
        assert look_at(forge, number).draft
        forge.write(PAPER, number)
        assert look_at(forge, number).draft
        forge.ready(number)
        forge.ready(number)
        assert not look_at(forge, number).draft
    assert hub.get(number).title == PAPER.title


def test_exactly_the_commit_that_was_seen_is_merged(on_forge: OpenForge, hub: Hub) -> None:
    with on_forge() as forge:
        first = look_at(forge, forge.write(PAPER).number)
        person = hub.origin.write({"app.py": "print(1)\n"}, "A person's", BRANCH)
        with pytest.raises(ForgeRefused):
            forge.merge(first)
        assert hub.get(first.number).state == "open"
        now = look_at(forge, first.number)
        assert now.tip == person
        forge.merge(now)
        merged = look_at(forge, first.number)
    assert (merged.state, merged.merged_as) == (ProposalState.MERGED, hub.origin.tip())
    assert hub.origin.text("lock") == "side==1.1\n"


def test_a_protected_branch_says_what_it_waits_for(on_forge: OpenForge, hub: Hub) -> None:
    hub.protected = "At least 1 approving review is required"
    with on_forge() as forge:
        made = forge.write(PAPER)
        with pytest.raises(ForgeRefused, match="approving review") as caught:
            forge.merge(made)
    assert not isinstance(caught.value, BranchBehind)


def test_a_branch_that_has_to_be_on_the_tip_is_told_from_other_refusals(on_forge: OpenForge, hub: Hub) -> None:
    hub.strict = True
    with on_forge() as forge:
        made = forge.write(PAPER)
        hub.origin.write({"other": "1"})
        now = look_at(forge, made.number)
        with pytest.raises(BranchBehind):
            forge.merge(now)


@pytest.mark.parametrize("on_forge", WITH_QUEUES, indirect=True)
def test_a_queue_is_gone_through(on_forge: OpenForge, hub: Hub) -> None:
    hub.queue = True
    with on_forge() as forge:
        made = forge.write(PAPER)
        forge.merge(made)
        forge.merge(made)
        assert hub.get(made.number).queued
        hub.run_queue()
        assert look_at(forge, made.number).state is ProposalState.MERGED


def test_what_is_closed_says_why_once(on_forge: OpenForge, hub: Hub) -> None:
    with on_forge() as forge:
        made = forge.write(PAPER)
        forge.close(made, "1.2 took its place")
        forge.close(made, "1.2 took its place")
        assert look_at(forge, made.number).state is ProposalState.CLOSED
    assert hub.get(made.number).comments == ("1.2 took its place",)


def test_what_was_written_anew_for_something_else_meanwhile_is_not_closed(on_forge: OpenForge, hub: Hub) -> None:
    with on_forge() as forge:
        before = forge.write(PAPER)
        forge.write(replace(PAPER, key="f" * 16), before.number)
        forge.close(before, "1.1 has ended")
    assert hub.get(before.number).state == "open"


def test_what_has_lost_its_branch_is_closed(on_forge: OpenForge, hub: Hub) -> None:
    with on_forge() as forge:
        number = forge.write(PAPER).number
        hub.origin.git("update-ref", "-d", f"refs/heads/{BRANCH}")
        assert look_at(forge, number).state is ProposalState.CLOSED


def test_a_token_without_rights_is_a_matter_for_a_person(on_forge: OpenForge, hub: Hub) -> None:
    with on_forge() as forge:
        assert "the token may write there" in forge.greet()
        hub.may_write = False
        with pytest.raises(Refused):
            forge.greet()
        with pytest.raises(Refused) as caught:
            forge.write(PAPER)
    assert not isinstance(caught.value, Temporary)
    assert hub.all() == []
