"""The life of a proposal, from the release to the end of its branch: by the real look and steps, on every forge."""

import contextlib
import getpass
import io
import os
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import TypeVar

import pytest

from tests.rig.forges.hub import Hub
from tests.rig.forges.server import Fault, ForgeServer
from tests.rig.git_server import Origin, git_host, ssh_host
from tests.rig.simple_index import SimpleIndex
from tests.workers.propose.forges.conftest import DIALECTS
from tests.workers.propose.forges.life import BRANCH, LOCK, Life
from watcher.proposal import Checks

Test = TypeVar("Test", bound=Callable[..., None])
_EVERY, _next = bool(os.environ.get("TOPLAYER_EVERY_FORGE")), cycle(DIALECTS)


def one_kind(test: Test) -> Test:
    """Where the kinds do not differ in more than the contract of their doors tells: one after the other has its turn.

    `make forges` tries each of them.
    """
    kinds = DIALECTS if _EVERY else [next(_next)]
    marked: Test = pytest.mark.parametrize("server", kinds, indirect=True)(test)
    return marked


NO_KIND = pytest.mark.parametrize("server", ["github"], indirect=True)
"""Where the forge is not what it is about."""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    origin = Origin(tmp_path / "shop.git")
    origin.write({"requirements.txt": LOCK, "app.py": "print()\n"}, "First")
    monkeypatch.setenv("FORGE_TOKEN", "t0ken-of-the-forge")
    return Hub(origin)


@pytest.fixture
def life(server: ForgeServer, tmp_path: Path) -> Iterator[Life]:
    """`side` is pinned at 1.0, and 1.1 is out."""
    with SimpleIndex() as index:
        index.publish("core", "1.0")
        index.publish("side", "1.0")
        made = Life(server, index, tmp_path / "state")
        made.state.mkdir()
        made.publish("1.1")
        yield made


def test_a_release_becomes_a_proposal_and_its_merge_is_seen(life: Life) -> None:
    life.forge = 'labels = ["dependencies"]\nreviewers = ["anna"]'
    life.rounds()

    (pull,) = life.hub.all()
    assert (pull.title, pull.branch, pull.base) == ("Bump side from 1.0 to 1.1", BRANCH, "main")
    assert (pull.labels, pull.reviewers) == (("dependencies",), ("anna",))
    bump = life.bumps()["1.1"]
    assert (bump.stage, bump.proposal, bump.commit) == ("proposed", 1, pull.tip)
    assert bump.url.startswith(life.server.url)

    life.hub.merge(1)
    life.rounds(minutes=2)

    assert life.stages() == {"1.1": "merged"}
    assert life.hub.origin.tip(BRANCH) == ""


@one_kind
def test_the_body_says_what_the_authors_say_and_who_needs_what(life: Life) -> None:
    life.index.publish("core", "2.0")
    life.hub.origin.write({"requirements.txt": "side==1.0\n"}, "Only side")
    changes = b"# Changes\n\n## 1.1\n\n- faster, thanks @anna, closes #7\n\n## 1.0\n\n- first\n"
    life.index.add("side", "side-1.1.tar.gz", sdist({"side-1.1/CHANGES.md": changes}))
    life.rounds()

    body = life.hub.get(1).body
    assert "From `CHANGES.md in side-1.1.tar.gz`" in body
    assert "```text\n## 1.1\n\n- faster, thanks @anna, closes #7\n```" in body
    assert "- first" not in body
    assert "| `side` | `1.0` | `1.1` | 2026-01-01 (from 2026-01-01) |" in body


def sdist(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


@one_kind
def test_while_nothing_happens_nothing_is_changed(life: Life) -> None:
    life.rounds()
    tip, before = life.hub.origin.tip(BRANCH), len(life.server.changes())
    life.hub.origin.write({"app.py": "print(1)\n"}, "Somebody's work")

    for _ in range(3):
        life.rounds(minutes=10)

    assert life.hub.origin.tip(BRANCH) == tip
    assert len(life.server.changes()) == before


@one_kind
def test_a_newer_release_is_written_into_the_proposal_that_is_open(life: Life) -> None:
    life.rounds()
    life.publish("1.2")
    life.rounds(minutes=20)

    (pull,) = life.hub.all()
    assert (pull.number, pull.title) == (1, "Bump side from 1.0 to 1.2")
    assert "1.2" in pull.body
    assert life.stages() == {"1.1": "superseded", "1.2": "proposed"}
    assert life.hub.origin.log(BRANCH) == ["Bump side from 1.0 to 1.2", "First"]
    assert pull.comments == ()


@one_kind
def test_what_a_person_closes_does_not_come_again_and_the_next_release_does(life: Life) -> None:
    life.rounds()
    life.hub.edit(1, state="closed")
    life.rounds(minutes=2)
    life.rounds(minutes=60)

    assert life.stages() == {"1.1": "closed"}
    assert "closed" in life.bumps()["1.1"].reason
    assert life.hub.origin.tip(BRANCH) == ""

    life.publish("1.2")
    life.rounds(minutes=20)

    assert life.stages() == {"1.1": "closed", "1.2": "proposed"}
    assert [(pull.number, pull.state) for pull in life.hub.all()] == [(2, "open"), (1, "closed")]


@one_kind
def test_a_branch_that_a_person_deletes_is_as_good_as_closed(life: Life) -> None:
    life.rounds()
    life.hub.origin.git("update-ref", "-d", f"refs/heads/{BRANCH}")
    life.rounds(minutes=2)
    life.rounds(minutes=60)
    assert life.stages() == {"1.1": "closed"}
    assert len(life.hub.opened) == 1


@one_kind
def test_what_conflicts_is_made_anew_on_the_tip_in_the_same_proposal(life: Life) -> None:
    life.rounds()
    life.hub.origin.write({"requirements.txt": LOCK.replace("# why", "# because")}, "Another word")
    life.rounds(minutes=2)

    (pull,) = life.hub.all()
    assert (pull.number, pull.state) == (1, "open")
    assert life.hub.origin.log(BRANCH) == ["Bump side from 1.0 to 1.1", "Another word", "First"]
    assert life.hub.origin.text("requirements.txt", BRANCH) == LOCK.replace("side==1.0  # why", "side==1.1  # because")
    assert life.stages() == {"1.1": "proposed"}


@one_kind
def test_an_included_file_that_says_something_else_has_it_made_anew(life: Life) -> None:
    life.hub.origin.write({"requirements.txt": "-r base.txt\nside==1.0\n", "base.txt": "core==1.0\n"}, "Two files")
    life.rounds()
    life.hub.origin.write({"base.txt": "# ours\ncore==1.0\n"}, "Only words")
    life.rounds(minutes=2)
    assert life.hub.origin.log(BRANCH) == ["Bump side from 1.0 to 1.1", "Two files", "First"]

    life.hub.origin.write({"base.txt": "# ours\n"}, "One pin less")
    life.rounds(minutes=2)
    assert life.hub.origin.log(BRANCH) == [
        "Bump side from 1.0 to 1.1",
        "One pin less",
        "Only words",
        "Two files",
        "First",
    ]
    assert len(life.hub.opened) == 1


@pytest.mark.parametrize("server", ["github", "gitlab"], indirect=True)
def test_a_base_that_wants_branches_to_be_up_to_date_gets_them_so(life: Life) -> None:
    life.hub.strict = True
    life.rounds()
    life.hub.origin.write({"app.py": "print(1)\n"}, "Somebody's work")
    life.rounds(minutes=2)
    assert life.hub.origin.log(BRANCH) == ["Bump side from 1.0 to 1.1", "Somebody's work", "First"]
    life.rounds(minutes=2)
    life.hub.merge(1)
    life.rounds(minutes=2)
    assert life.stages() == {"1.1": "merged"}


@pytest.mark.parametrize("server", ["gitea"], indirect=True)
def test_a_forge_that_only_says_so_when_it_is_to_merge_is_understood(life: Life) -> None:
    life.forge = 'automerge = "checks"'
    life.hub.strict = True
    life.rounds()
    life.hub.origin.write({"app.py": "print(1)\n"}, "Somebody's work")
    life.hub.checks[life.hub.origin.tip(BRANCH)] = Checks.GREEN
    life.rounds(minutes=2)
    assert life.hub.origin.log(BRANCH) == ["Bump side from 1.0 to 1.1", "Somebody's work", "First"]
    life.hub.checks[life.hub.origin.tip(BRANCH)] = Checks.GREEN
    life.rounds(minutes=2)
    life.rounds(minutes=2)
    assert life.stages() == {"1.1": "merged"}


@one_kind
def test_the_work_of_a_person_on_the_branch_is_never_overwritten(life: Life) -> None:
    life.forge = 'automerge = "checks"'
    life.rounds()
    person = life.hub.origin.write({"app.py": "print('adapted')\n"}, "Adapt", BRANCH)
    life.hub.checks[person] = Checks.GREEN
    life.publish("1.2")
    life.hub.origin.write({"requirements.txt": LOCK.replace("# why", "# because")}, "Another word")
    for _ in range(3):
        life.rounds(minutes=20)

    assert life.hub.origin.tip(BRANCH) == person
    assert life.stages() == {"1.1": "proposed", "1.2": "found"}
    assert [pull.state for pull in life.hub.all()] == ["open"]

    life.hub.origin.write({"requirements.txt": LOCK}, "Back")
    life.hub.merge(1)
    life.rounds(minutes=2)

    assert life.stages() == {"1.1": "merged", "1.2": "proposed"}
    assert [pull.number for pull in life.hub.all()] == [2, 1]


@one_kind
def test_a_commit_of_a_person_on_a_branch_that_nobody_waits_for_stays(life: Life) -> None:
    life.rounds()
    person = life.hub.origin.write({"app.py": "print('adapted')\n"}, "Adapt", BRANCH)
    life.hub.edit(1, state="closed")
    for _ in range(3):
        life.rounds(minutes=20)
    assert life.hub.origin.tip(BRANCH) == person
    assert life.stages() == {"1.1": "closed"}


@one_kind
def test_what_came_into_the_lock_by_another_way_is_closed_with_a_word(life: Life) -> None:
    life.rounds()
    life.hub.origin.write({"requirements.txt": LOCK.replace("side==1.0", "side==2.0")}, "By hand")
    life.rounds(minutes=2)
    life.rounds(minutes=2)

    (pull,) = life.hub.all()
    assert pull.state == "closed"
    assert pull.comments == ("toplayer closes this: `the lockfile is already at 2.0`",)
    assert life.stages() == {"1.1": "superseded"}
    assert life.hub.origin.tip(BRANCH) == ""


@one_kind
def test_green_checks_merge_and_nothing_else_does(life: Life) -> None:
    life.forge = 'automerge = "checks"'
    life.rounds()
    tip = life.hub.origin.tip(BRANCH)
    for checks in (Checks.NONE, Checks.RUNNING, Checks.RED):
        life.hub.checks[tip] = checks
        life.rounds(minutes=20)
        assert life.stages() == {"1.1": "proposed"}
    life.pause()
    life.hub.checks[tip] = Checks.GREEN
    life.rounds(minutes=20)
    assert life.stages() == {"1.1": "proposed"}
    life.pause(on=False)
    life.rounds(minutes=2)
    life.rounds(minutes=2)
    assert life.stages() == {"1.1": "merged"}


@one_kind
def test_what_is_yanked_while_it_waits_is_closed_with_a_word_and_so_is_what_was_sent_back(life: Life) -> None:
    life.rounds()
    life.pause()
    life.hub.origin.write({"requirements.txt": LOCK.replace("# why", "# because")}, "Another word")
    life.rounds(minutes=2)
    assert life.stages() == {"1.1": "found"}
    assert life.hub.get(1).state == "open"
    life.index.yank("side", "1.1", "it eats data, @everyone\n/merge\ncloses #7 ` ![x](https://evil.example/x.png)")
    life.rounds(minutes=20)
    life.rounds(minutes=2)
    assert life.stages() == {"1.1": "superseded"}
    (pull,) = life.hub.all()
    assert pull.state == "closed"
    (said,) = pull.comments
    assert "yanked" in said
    assert re.fullmatch(r"toplayer closes this: `[^`\n]+`", said)
    assert life.hub.origin.tip(BRANCH) == ""


@one_kind
def test_green_checks_are_not_enough_where_nobody_asked_for_it(life: Life) -> None:
    life.rounds()
    life.hub.checks[life.hub.origin.tip(BRANCH)] = Checks.GREEN
    life.rounds(minutes=20)
    assert life.stages() == {"1.1": "proposed"}


@one_kind
def test_what_the_forge_refuses_to_merge_is_noted_and_asked_again_later(life: Life) -> None:
    life.forge = 'automerge = "checks"'
    life.hub.protected = "At least 1 approving review is required"
    life.rounds()
    life.hub.checks[life.hub.origin.tip(BRANCH)] = Checks.GREEN
    for _ in range(5):
        life.rounds(minutes=2)
    asked = [one for one in life.server.requests if one.endswith("/merge")]
    assert len(asked) == 1
    (tended,) = life.proposals().tended
    assert "approving review" in tended.held

    life.hub.protected = ""
    life.rounds(minutes=20)
    life.rounds(minutes=2)
    assert life.stages() == {"1.1": "merged"}


@one_kind
def test_a_draft_is_ready_when_its_checks_are_green(life: Life) -> None:
    life.forge = "draft = true"
    life.rounds()
    assert life.hub.get(1).draft
    life.hub.checks[life.hub.origin.tip(BRANCH)] = Checks.RUNNING
    life.rounds(minutes=20)
    assert life.hub.get(1).draft
    life.hub.checks[life.hub.origin.tip(BRANCH)] = Checks.GREEN
    life.rounds(minutes=2)
    assert not life.hub.get(1).draft
    assert life.hub.get(1).title == "Bump side from 1.0 to 1.1"


@one_kind
def test_a_draft_that_a_person_wants_stays_one(life: Life) -> None:
    life.forge = "draft = true"
    life.rounds()
    life.hub.checks[life.hub.origin.tip(BRANCH)] = Checks.GREEN
    life.rounds(minutes=2)
    life.hub.edit(1, draft=True)
    life.rounds(minutes=20)
    assert life.hub.get(1).draft


@one_kind
def test_a_draft_without_any_checks_does_not_wait_for_ever(life: Life) -> None:
    life.forge = "draft = true"
    life.rounds()
    life.rounds(minutes=2)
    assert life.hub.get(1).draft
    life.rounds(minutes=10)
    assert not life.hub.get(1).draft


@pytest.mark.parametrize("server", ["github", "gitlab"], indirect=True)
def test_a_queue_merges_in_its_own_time(life: Life) -> None:
    life.forge = 'automerge = "checks"'
    life.hub.queue = True
    life.rounds()
    life.hub.checks[life.hub.origin.tip(BRANCH)] = Checks.GREEN
    life.rounds(minutes=2)
    assert life.hub.get(1).queued
    life.rounds(minutes=20)
    assert life.stages() == {"1.1": "proposed"}
    life.hub.run_queue()
    life.rounds(minutes=2)
    assert life.stages() == {"1.1": "merged"}


@one_kind
def test_a_reviewer_that_is_not_there_does_not_cost_the_proposal(life: Life) -> None:
    life.forge = 'reviewers = ["zoe"]'
    life.rounds()
    bump = life.bumps()["1.1"]
    assert bump.stage == "proposed"
    assert "zoe" in bump.reason
    assert len(life.hub.all()) == 1


@one_kind
def test_a_token_without_rights_costs_no_version_and_is_tried_again(life: Life) -> None:
    life.hub.may_write = False
    life.rounds()
    bump = life.bumps()["1.1"]
    assert bump.stage == "found"
    assert "403" in bump.reason
    assert "docs/proposals.md" in bump.reason
    before = len(life.server.changes())
    life.rounds(minutes=2)
    assert len(life.server.changes()) == before

    life.hub.may_write = True
    life.rounds(minutes=5)
    assert life.stages() == {"1.1": "proposed"}
    assert len(life.hub.opened) == 1


@one_kind
def test_a_lockfile_that_nobody_can_read_for_a_while_costs_no_version(life: Life) -> None:
    life.pause()
    life.rounds()
    life.hub.origin.write({"requirements.txt": "side>=1\n"}, "Broken")
    life.pause(on=False)
    life.rounds()
    bump = life.bumps()["1.1"]
    assert bump.stage == "found"
    assert "expected one exact version" in bump.reason
    life.hub.origin.write({"requirements.txt": LOCK}, "Mended")
    life.rounds(minutes=6)
    assert life.stages() == {"1.1": "proposed"}


@one_kind
def test_a_branch_that_a_person_kept_holds_the_next_release_until_it_is_gone(life: Life) -> None:
    life.rounds()
    life.hub.origin.write({"app.py": "print('adapted')\n"}, "Adapt", BRANCH)
    life.hub.edit(1, state="closed")
    life.rounds(minutes=20)
    life.publish("1.2")
    life.rounds(minutes=20)
    bump = life.bumps()["1.2"]
    assert bump.stage == "found"
    assert "has a commit by" in bump.reason
    life.hub.origin.git("update-ref", "-d", f"refs/heads/{BRANCH}")
    life.rounds(minutes=6)
    assert life.stages() == {"1.1": "closed", "1.2": "proposed"}


@one_kind
def test_an_answer_that_got_lost_is_not_a_second_proposal(life: Life) -> None:
    opens = "POST .*(pulls|merge_requests)$"
    life.server.spoil = Fault(opens, 502, "lost")
    life.rounds()
    assert len(life.hub.all()) == 1
    life.rounds(minutes=5)
    assert life.stages() == {"1.1": "proposed"}
    assert len(life.hub.opened) == 1


@one_kind
def test_somebody_who_closes_it_before_it_is_noted_is_heard(life: Life) -> None:
    """The process dies after it has opened the proposal, and a person closes it before the next one comes."""
    life.rounds()
    bump = life.bumps()["1.1"]
    life.hub.edit(1, state="closed")
    life.forget(bump)
    life.rounds(minutes=2)
    life.rounds(minutes=2)
    assert life.stages() == {"1.1": "closed"}
    assert len(life.hub.opened) == 1


@one_kind
def test_a_forge_that_wants_rest_gets_it(life: Life) -> None:
    life.rounds()
    life.server.faults.append(Fault("GET", 403, "secondary rate limit", {"Retry-After": "1800"}))
    life.rounds(minutes=2)
    before = len(life.server.requests)
    for _ in range(5):
        life.rounds(minutes=4)
    assert len(life.server.requests) == before
    assert "rate limit" in life.proposals().reason
    life.hub.merge(1)
    life.rounds(minutes=20)
    assert life.stages() == {"1.1": "merged"}
    assert life.proposals().reason == ""


@one_kind
def test_a_forge_that_is_down_holds_nothing_up_but_itself(life: Life) -> None:
    life.server.faults += [Fault("GET", 500, "oh")] * 3
    life.rounds()
    for _ in range(6):
        life.rounds(minutes=1)
    assert life.stages() == {"1.1": "proposed"}
    assert len(life.hub.opened) == 1


@one_kind
def test_a_proposal_that_a_person_opened_for_our_branch_keeps_its_words(life: Life) -> None:
    life.rounds()
    life.hub.pulls[1] = replace(life.hub.get(1), title="Mine", body="My own words")
    life.publish("1.2")
    life.rounds(minutes=20)
    assert (life.hub.get(1).title, life.hub.get(1).body) == ("Mine", "My own words")
    assert life.bumps()["1.2"].proposal == 1


@one_kind
def test_a_branch_of_that_name_in_a_stranger_s_copy_changes_nothing(life: Life) -> None:
    life.forge = 'automerge = "checks"'
    strange = life.hub.open_from_fork(BRANCH)
    life.hub.checks[strange.tip] = Checks.GREEN
    life.rounds()
    assert life.bumps()["1.1"].proposal == 2
    life.hub.edit(1, state="closed")
    for _ in range(2):
        life.rounds(minutes=20)
    assert life.stages() == {"1.1": "proposed"}
    assert (life.hub.get(1).title, life.hub.get(1).comments) == ("A stranger's", ())
    life.hub.merge(2)
    life.rounds(minutes=2)
    assert life.stages() == {"1.1": "merged"}


@one_kind
def test_a_proposal_that_was_deleted_is_opened_again_and_the_others_go_on(life: Life) -> None:
    life.rounds()
    del life.hub.pulls[1]
    life.rounds(minutes=2)
    (pull,) = life.hub.all()
    assert (pull.number, pull.state) == (2, "open")
    assert life.bumps()["1.1"].proposal == 2
    life.hub.merge(2)
    life.rounds(minutes=2)
    assert life.stages() == {"1.1": "merged"}


@one_kind
def test_where_the_project_has_moved_another_s_proposal_with_our_number_is_left_alone(life: Life) -> None:
    life.forge = 'automerge = "checks"'
    life.rounds()
    life.hub.origin.write({"app.py": "print(2)\n"}, "A colleague's", "feature")
    life.hub.pulls[1] = replace(life.hub.get(1), branch="feature", title="A colleague's", body="")
    life.hub.checks[life.hub.origin.tip("feature")] = Checks.GREEN
    life.rounds(minutes=20)
    assert life.bumps()["1.1"].proposal == 2
    life.index.yank("side", "1.1", "it eats data")
    for _ in range(2):
        life.rounds(minutes=20)
    assert [(pull.number, pull.state) for pull in life.hub.all()] == [(2, "closed"), (1, "open")]
    assert life.hub.get(1).comments == ()


@one_kind
def test_a_bot_that_writes_below_our_words_does_not_make_them_its_own(life: Life) -> None:
    life.forge = 'automerge = "checks"'
    life.rounds()
    life.hub.edit(1, body=f"{life.hub.get(1).body}\n\n## A bot's summary\nIt is about 1.1.\n")
    life.publish("1.2")
    life.rounds(minutes=20)
    assert life.hub.get(1).title == "Bump side from 1.0 to 1.2"
    life.hub.checks[life.hub.origin.tip(BRANCH)] = Checks.GREEN
    life.hub.edit(1, body=f"{life.hub.get(1).body}\n\n## A bot's summary\nIt is about 1.2.\n")
    for _ in range(2):
        life.rounds(minutes=2)
    assert life.stages() == {"1.1": "superseded", "1.2": "merged"}


@one_kind
def test_under_the_words_of_a_person_nothing_is_merged_by_itself(life: Life) -> None:
    life.forge = 'automerge = "checks"'
    life.rounds()
    life.hub.edit(1, title="1.1, as agreed", body="My own words")
    life.publish("1.2")
    life.rounds(minutes=20)
    life.hub.checks[life.hub.origin.tip(BRANCH)] = Checks.GREEN
    life.rounds(minutes=20)
    assert life.stages() == {"1.1": "superseded", "1.2": "proposed"}
    assert life.hub.get(1).title == "1.1, as agreed"
    assert "a person merges it" in life.proposals().tended[0].held


@one_kind
def test_one_that_was_lost_is_closed_with_its_bump(life: Life) -> None:
    """It was opened, nobody heard of it, and before anybody asks again the release is yanked."""
    life.server.spoil = Fault("POST .*(pulls|merge_requests)$", 502, "lost")
    life.rounds()
    assert life.hub.get(1).state == "open"
    assert life.bumps()["1.1"].proposal == 0
    life.pause()
    life.rounds(minutes=2)
    assert life.hub.get(1).state == "open"
    life.index.yank("side", "1.1", "it eats data")
    for _ in range(2):
        life.rounds(minutes=20)
    assert life.stages() == {"1.1": "superseded"}
    (pull,) = life.hub.all()
    assert pull.state == "closed"
    assert "yanked" in pull.comments[0]
    assert life.hub.origin.tip(BRANCH) == ""


@one_kind
def test_another_author_in_the_settings_leaves_what_is_open_ours(life: Life) -> None:
    life.rounds()
    life.author = "A new name <new@shop.example>"
    life.publish("1.2")
    life.rounds(minutes=20)
    assert life.stages() == {"1.1": "superseded", "1.2": "proposed"}
    assert life.hub.get(1).title == "Bump side from 1.0 to 1.2"


@one_kind
def test_a_commit_that_a_person_made_their_own_stays(life: Life) -> None:
    """Amended with --reset-author: author and committer are the same, and our trailer is still in it."""
    life.rounds()
    git = life.hub.origin.git
    said = git("log", "-1", "--format=%B", BRANCH)
    theirs = git("commit-tree", f"{BRANCH}^{{tree}}", "-p", f"{BRANCH}~1", "-m", said)
    git("update-ref", f"refs/heads/{BRANCH}", theirs)
    life.publish("1.2")
    life.rounds(minutes=20)
    assert life.hub.origin.tip(BRANCH) == theirs
    life.hub.edit(1, state="closed")
    for _ in range(2):
        life.rounds(minutes=20)
    assert life.hub.origin.tip(BRANCH) == theirs


# --- without a forge, and over the wire -------------------------------------------------------------------------------


@one_kind
def test_a_branch_from_before_there_was_a_forge_becomes_a_proposal_there(life: Life) -> None:
    life.plain = True
    life.rounds()
    tip = life.hub.origin.tip(BRANCH)
    life.hub.origin.write({"app.py": "print(1)\n"}, "Somebody's work")

    life.plain = False
    life.rounds(minutes=2)

    (pull,) = life.hub.all()
    assert (pull.title, pull.tip) == ("Bump side from 1.0 to 1.1", tip)
    bump = life.bumps()["1.1"]
    assert (bump.stage, bump.proposal) == ("proposed", 1)
    life.hub.merge(1)
    life.rounds(minutes=2)
    assert life.stages() == {"1.1": "merged"}
    assert len(life.hub.opened) == 1


@NO_KIND
def test_without_a_forge_a_branch_lives_the_same_life(life: Life) -> None:
    life.plain = True
    life.rounds()
    assert life.hub.origin.log(BRANCH) == ["Bump side from 1.0 to 1.1", "First"]

    life.publish("1.2")
    life.rounds(minutes=20)
    assert life.hub.origin.log(BRANCH) == ["Bump side from 1.0 to 1.2", "First"]

    life.hub.origin.write({"requirements.txt": LOCK.replace("# why", "# because")}, "Another word")
    life.rounds(minutes=2)
    assert life.hub.origin.log(BRANCH) == ["Bump side from 1.0 to 1.2", "Another word", "First"]

    life.hub.origin.git("update-ref", "refs/heads/main", life.hub.origin.tip(BRANCH))
    life.rounds(minutes=2)
    assert life.stages() == {"1.1": "superseded", "1.2": "merged"}
    assert life.hub.origin.tip(BRANCH) == ""
    assert life.server.requests == []


@NO_KIND
@pytest.mark.parametrize("way", ["http", "ssh"])
def test_a_repository_behind_a_wire_is_proposed_to_and_cleared(life: Life, tmp_path: Path, way: str) -> None:
    life.hub.origin.git("config", "http.receivepack", "true")
    with contextlib.ExitStack() as stack:
        if way == "http":
            host = stack.enter_context(git_host(tmp_path))
            life.repository = f"{host.url}/shop.git"
        else:
            port, key = stack.enter_context(ssh_host(tmp_path / "sshd"))
            life.repository = f"ssh://{getpass.getuser()}@127.0.0.1:{port}{life.hub.origin.directory}"
            life.git = f', ssh_key = "{key}"'
        life.rounds()
        assert life.hub.get(1).tip == life.hub.origin.tip(BRANCH)
        life.hub.deletes_branches = False
        life.hub.merge(1)
        life.rounds(minutes=2)
        assert life.stages() == {"1.1": "merged"}
        assert life.hub.origin.tip(BRANCH) == ""
