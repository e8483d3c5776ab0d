"""A survey sees, a proposal pushes: with real git, real uv and an index on loopback."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.forge import FakeForge
from tests.rig.death import dies_at
from tests.rig.forges.hub import Hub
from tests.rig.git_server import Origin, git_host
from tests.rig.simple_index import SimpleIndex
from tests.workers.propose.world import MONDAY, changed_lines, compiled, locked, move_to, workshop
from watcher.bump import Bump, BumpStage
from watcher.errors import LockfileUnreadable
from watcher.head import Head
from watcher.lockfiles.diff import LockDiff
from watcher.settings import AppSettings, ForgeSettings
from workers.git import BranchMoved, GitRefused, GitUnreachable, Repository
from workers.propose.errors import BranchTaken, LockRefused
from workers.propose.facts import Facts, Read
from workers.propose.message import TRAILER
from workers.propose.propose import propose
from workers.propose.survey import survey
from workers.propose.uv import Uv

LATER = MONDAY + timedelta(hours=3)
BRANCH = "toplayer/shop/side"
PYLOCK = 'lock-version = "1.0"\ncreated-by = "somebody"\n\n[[packages]]\nname = "side"\nversion = "1.0"\n'


@dataclass(frozen=True)
class World:
    """A repository with a lockfile, an index with a newer release, and everything that a step needs."""

    origin: Origin
    index: SimpleIndex
    uv: Uv
    app: AppSettings
    state: Path

    def repository(self) -> Repository:
        return Repository.of("shop", self.app, self.state)

    def gate(self, diff: LockDiff) -> None:
        """Open."""

    def bump(self, to_version: str = "1.1", package: str = "side") -> Bump:
        return Bump(
            id=Bump.id_of("shop", package, to_version),
            app="shop",
            ecosystem="pypi",
            package=package,
            from_version="1.0",
            to_version=to_version,
            found_at=MONDAY,
        )

    def propose(self, bump: Bump | None = None, now: datetime = LATER) -> Bump:
        bump = bump or self.bump()
        moves = [move_to(self.index, part.package, part.to_version) for part in bump.parts]
        return propose(bump, self.app, self.repository(), moves, workshop(self.uv), self.gate, lambda: now)

    def branching(self) -> "World":
        return replace(self, app=self.app.model_copy(update={"propose": "branch"}))


@pytest.fixture
def world(index: SimpleIndex, uv: Uv, tmp_path: Path) -> World:
    """`side` is pinned at 1.0 by hand, and 1.1 is out; a commit goes straight to the branch."""
    return made(index, uv, tmp_path, {"requirements.txt": "# ours\ncore==1.0\nside==1.0  # why\n"}, "requirements.txt")


def made(index: SimpleIndex, uv: Uv, directory: Path, files: dict[str, str], lock: str) -> World:
    origin = Origin(directory / "srv" / "shop.git")
    origin.write({**files, "app.py": "print()\n"}, "First")
    index.publish("side", "1.1")
    settings: dict[str, Any] = {
        "repository": str(origin.directory),
        "lock": lock,
        "propose": "commit",
        "git": {"author": "toplayer <bot@shop.example>"},
        "image": {"repository": "oci:/srv/images", "python": "3.12"},
        "fleet": "field",
    }
    return World(origin, index, uv, AppSettings.model_validate(settings), directory / "state")


# --- a survey --------------------------------------------------------------------------------------------------------


def test_a_survey_sees_the_tip_the_pins_and_our_branches(world: World) -> None:
    ours = world.origin.write({"x": "1"}, branch="toplayer/shop/core")
    before = Head(app="shop", reason="it was down", attempts=3, due_at=MONDAY, revision=7)

    head = survey(before, world.app, world.repository(), LATER)

    assert [(pin.package, pin.version, pin.lock) for pin in head.pins] == [
        ("core", "1.0", "requirements.txt"),
        ("side", "1.0", "requirements.txt"),
    ]
    assert (head.commit, head.surveyed_at) == (world.origin.tip(), LATER)
    assert head.committed_at is not None
    assert head.committed_at.utcoffset() == timedelta(0)
    assert head.branches == (("toplayer/shop/core", ours),)
    assert (head.reason, head.attempts, head.due_at, head.revision) == ("", 0, None, 7)


def test_a_survey_reads_what_a_lock_was_compiled_from(index: SimpleIndex, uv: Uv, tmp_path: Path) -> None:
    files = compiled(tmp_path / "desk", index, "api<2\n")
    world = made(index, uv, tmp_path, files, "requirements.txt")

    pins = {pin.package: pin for pin in survey(Head(app="shop"), world.app, world.repository(), LATER).pins}

    assert (pins["api"].direct, pins["api"].constraint, pins["core"].direct) == (True, "<2", False)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "requirements.txt: expected a lockfile, got nothing"),
        ("side>=1\n", "requirements.txt: line 1: expected one exact version"),
        (b"\xff\xfes\x00", "requirements.txt: expected UTF-8, got UTF-16"),
    ],
)
def test_a_lockfile_that_cannot_be_read_is_told_with_its_place(
    world: World, content: str | bytes | None, said: str
) -> None:
    world.origin.write({"requirements.txt": content})

    with pytest.raises(LockfileUnreadable) as caught:
        survey(Head(app="shop"), world.app, world.repository(), LATER)

    assert said in str(caught.value)


def test_locks_in_step_are_read_beside_the_others_as_far_as_they_can_be(world: World) -> None:
    world.origin.write({"dev.txt": "-r requirements.txt\npytest==8.0\n", "broken.txt": "what is this?\n"})
    world = replace(world, app=world.app.model_copy(update={"in_step": ("dev.txt", "broken.txt")}))

    head = survey(Head(app="shop"), world.app, world.repository(), LATER)

    assert [pin.package for pin in head.pins] == ["core", "side"]
    assert [(pin.package, pin.lock) for pin in head.beside] == [("pytest", "dev.txt")]
    assert head.remark.startswith("broken.txt: line 1: expected")
    assert head.reason == ""


def test_a_survey_reads_the_locks_again_only_if_they_may_say_something_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, read = world.app, list[str]()
    theirs = Repository.read

    def noted(self: Repository, commit: str, path: str) -> bytes | None:
        read.append(path)
        return theirs(self, commit, path)

    monkeypatch.setattr(Repository, "read", noted)
    first = survey(Head(app="shop"), app, world.repository(), MONDAY)
    assert "requirements.txt" in read

    read.clear()
    ours = world.origin.write({"x": "1"}, branch="toplayer/shop/core")
    second = survey(first, app, world.repository(), LATER)
    assert read == []
    assert (second.pins, second.surveyed_at, second.branches) == (first.pins, LATER, (("toplayer/shop/core", ours),))

    another = app.model_copy(update={"in_step": ("dev.txt",)})
    assert survey(second, another, world.repository(), LATER).remark.startswith("dev.txt")

    world.origin.write({"requirements.txt": "side==1.0\n"})
    assert [pin.package for pin in survey(second, app, world.repository(), LATER).pins] == ["side"]


def test_a_hostile_package_in_a_lock_is_refused(world: World) -> None:
    world.origin.write({"requirements.txt": "side;rm -rf / ==1.0\n"})

    with pytest.raises(LockfileUnreadable):
        survey(Head(app="shop"), world.app, world.repository(), LATER)


# --- a proposal ------------------------------------------------------------------------------------------------------


def test_a_bump_becomes_a_commit_on_the_branch(world: World) -> None:
    before = world.origin.tip()

    bump = world.propose()

    assert (bump.stage, bump.branch, bump.commit) == (BumpStage.PROPOSED, "main", world.origin.tip())
    assert bump.proposed_at == LATER
    assert world.origin.log() == ["Bump side from 1.0 to 1.1", "First"]
    assert world.origin.git("diff-tree", "-r", "--name-only", before, "main") == "requirements.txt"
    assert world.origin.text("requirements.txt") == "# ours\ncore==1.0\nside==1.1  # why\n"
    who = world.origin.git("log", "-1", "--format=%an|%ae|%at|%cn|%ce|%ct", "main")
    stamp = int(MONDAY.timestamp())
    assert who == f"toplayer|bot@shop.example|{stamp}|toplayer|bot@shop.example|{stamp}"
    assert world.repository().show(bump.commit).trailer(TRAILER) == bump.id


@pytest.mark.parametrize("kind", ["uv.lock", "compiled"])
def test_a_lock_of_a_tool_becomes_a_commit_too(index: SimpleIndex, uv: Uv, tmp_path: Path, kind: str) -> None:
    if kind == "uv.lock":
        files, lock = locked(tmp_path / "desk", index, "api<1.1", "side"), "uv.lock"
    else:
        files, lock = compiled(tmp_path / "desk", index, "api<1.1\nside\n", "--generate-hashes"), "requirements.txt"
    world = made(index, uv, tmp_path, files, lock)

    bump = world.propose()

    assert bump.commit == world.origin.tip()
    assert len(changed_lines(files[lock], world.origin.text(lock))) == 4


def test_a_bump_becomes_a_branch_that_a_person_may_merge(world: World) -> None:
    before = world.origin.tip()

    bump = world.branching().propose()

    assert (bump.stage, bump.branch, bump.commit) == (BumpStage.PROPOSED, BRANCH, world.origin.tip(BRANCH))
    assert world.origin.tip() == before
    assert world.origin.log(BRANCH) == ["Bump side from 1.0 to 1.1", "First"]


def test_what_moves_with_it_stands_in_the_message(index: SimpleIndex, uv: Uv, tmp_path: Path) -> None:
    world = made(index, uv, tmp_path, compiled(tmp_path / "desk", index, "api\n"), "requirements.txt")
    index.publish("core", "2.0")

    bump = world.propose(world.bump("3.0", "api"))

    assert world.origin.git("log", "-1", "--format=%B", bump.commit).splitlines() == [
        "Bump api from 1.1 to 3.0",
        "",
        "Moved with it:",
        "- core 1.0 → 2.0",
        "- extra-thing 1.0, new",
        "",
        "Toplayer-Bump: shop:api:3.0",
    ]


def test_a_proposal_is_as_old_as_its_push_and_not_as_the_order(world: World) -> None:
    ticks = iter(LATER + timedelta(seconds=second) for second in range(100))
    wanted = world.bump()
    found = [move_to(world.index, wanted.package, wanted.to_version)]

    bump = propose(wanted, world.app, world.repository(), found, workshop(world.uv), world.gate, lambda: next(ticks))

    # A survey that began after the order, and before the push, has not seen it.
    assert bump.proposed_at is not None
    assert bump.proposed_at > LATER + timedelta(seconds=1)


@pytest.mark.parametrize("branching", [False, True])
def test_a_proposal_that_is_there_is_not_made_again(world: World, branching: bool) -> None:
    world = world.branching() if branching else world
    first = world.propose()
    world.index.down = True

    again = world.propose(now=LATER + timedelta(hours=1))

    assert (again.stage, again.branch, again.commit) == (first.stage, first.branch, first.commit)
    assert len(world.origin.log(first.branch)) == 2


def test_the_same_bump_on_the_same_tip_is_the_same_commit(world: World, tmp_path: Path) -> None:
    first = world.propose()
    world.origin.git("update-ref", "refs/heads/main", f"{first.commit}~1")

    assert replace(world, state=tmp_path / "other").propose(now=LATER + timedelta(days=1)).commit == first.commit


def test_a_version_that_a_person_took_in_is_not_proposed(world: World) -> None:
    tip = world.origin.write({"requirements.txt": "side==1.1\n"}, "By hand")

    bump = world.propose()

    assert (bump.stage, bump.branch, bump.commit) == (BumpStage.PROPOSED, "main", tip)
    assert world.origin.tip() == tip


@pytest.mark.parametrize(("text", "said"), [("side==1.2\n", "already at 1.2"), ("core==1.0\n", "no longer in")])
def test_a_lock_that_moved_on_by_itself_ends_the_bump(world: World, text: str, said: str) -> None:
    tip = world.origin.write({"requirements.txt": text}, "By hand")

    ended = world.propose()
    assert ended.stage is BumpStage.SUPERSEDED
    assert said in ended.reason
    assert world.origin.tip() == tip


def test_a_branch_for_an_older_version_or_an_older_lock_is_made_anew(world: World) -> None:
    world = world.branching()
    old = world.propose()
    world.index.publish("side", "1.2")

    newer = world.propose(world.bump("1.2"))
    assert world.origin.log(BRANCH) == ["Bump side from 1.0 to 1.2", "First"]

    world.origin.write({"app.py": "print(1)\n"}, "Elsewhere")
    assert world.propose(world.bump("1.2")).commit == newer.commit

    world.origin.write({"requirements.txt": "side==1.0\n"}, "The lock")
    fresh = world.propose(world.bump("1.2"))
    assert len({old.commit, newer.commit, fresh.commit}) == 3
    assert world.origin.log(BRANCH) == ["Bump side from 1.0 to 1.2", "The lock", "Elsewhere", "First"]


def test_a_file_that_the_lock_includes_counts_as_the_lock(index: SimpleIndex, uv: Uv, tmp_path: Path) -> None:
    files = {"requirements.txt": "-r base.txt\nside==1.0\n", "base.txt": "core==1.0\n"}
    world = made(index, uv, tmp_path, files, "requirements.txt").branching()
    old = world.propose()

    world.origin.write({"base.txt": "# ours\ncore==1.0\n"}, "The included file")
    fresh = world.propose()

    assert fresh.commit != old.commit
    assert world.origin.log(BRANCH) == ["Bump side from 1.0 to 1.1", "The included file", "First"]


def test_locks_in_step_move_in_the_same_commit(index: SimpleIndex, uv: Uv, tmp_path: Path) -> None:
    files = {"requirements.txt": "side==1.0\n", "dev/requirements.txt": "core==1.0\nside==1.0 # ours\n"}
    files |= {"new.txt": "side==1.2\n", "other.txt": "core==1.0\n", "dev.txt": "-r requirements.txt\ncore==1.0\n"}
    world = made(index, uv, tmp_path, files, "requirements.txt")
    in_step = ("dev/requirements.txt", "new.txt", "other.txt", "dev.txt")
    world = replace(world, app=world.app.model_copy(update={"in_step": in_step}))

    world.propose()

    assert world.origin.text("requirements.txt") == "side==1.1\n"
    assert world.origin.text("dev/requirements.txt") == "core==1.0\nside==1.1 # ours\n"
    assert {name: world.origin.text(name) for name in ("new.txt", "other.txt", "dev.txt")} == {
        name: files[name] for name in ("new.txt", "other.txt", "dev.txt")
    }
    assert world.origin.log() == ["Bump side from 1.0 to 1.1", "First"]


def test_one_of_them_that_cannot_move_keeps_all_where_they_are(index: SimpleIndex, uv: Uv, tmp_path: Path) -> None:
    files = {"requirements.txt": "side==1.0\n", "pylock.dev.toml": PYLOCK}
    world = made(index, uv, tmp_path, files, "requirements.txt")
    world = replace(world, app=world.app.model_copy(update={"in_step": ("pylock.dev.toml",)}))

    with pytest.raises(LockRefused, match=r"pylock\.dev\.toml: side cannot move to 1\.1: "):
        world.propose()

    assert world.origin.log() == ["First"]


def test_a_branch_on_which_a_person_works_is_left_alone(world: World) -> None:
    world = world.branching()
    world.propose()
    theirs = world.origin.write({"fix.py": "1\n"}, "Fix for 1.1", BRANCH)
    world.index.publish("side", "1.2")

    for bump in (world.bump(), world.bump("1.2")):
        with pytest.raises(BranchTaken, match=r"has a commit by name@person.example") as caught:
            world.propose(bump)

    assert world.origin.tip(BRANCH) == theirs
    assert caught.value.hint


def test_our_commit_amended_by_a_person_is_theirs(world: World) -> None:
    world = world.branching()
    mine = world.propose().commit
    git = world.origin.git
    message = git("log", "-1", "--format=%B", mine)
    author = {"GIT_AUTHOR_NAME": "toplayer", "GIT_AUTHOR_EMAIL": "bot@shop.example"}
    date = {"GIT_AUTHOR_DATE": f"{int(MONDAY.timestamp())} +0000"}
    amended = git("commit-tree", f"{mine}^{{tree}}", "-p", f"{mine}~1", "-m", message, env=author | date)
    git("update-ref", f"refs/heads/{BRANCH}", amended)

    with pytest.raises(BranchTaken):
        world.propose()

    assert world.origin.tip(BRANCH) == amended


def test_our_commit_taken_over_by_a_person_is_theirs(world: World) -> None:
    """`git commit --amend --reset-author`: the same name twice, the same second, and our trailer."""
    world = world.branching()
    mine = world.propose().commit
    git = world.origin.git
    message = git("log", "-1", "--format=%B", mine)
    taken = git("commit-tree", f"{mine}^{{tree}}", "-p", f"{mine}~1", "-m", message)
    git("update-ref", f"refs/heads/{BRANCH}", taken)

    with pytest.raises(BranchTaken):
        world.propose(world.bump("1.2"))

    assert world.origin.tip(BRANCH) == taken


def test_a_teller_that_fails_costs_its_words_and_not_the_proposal(world: World, tmp_path: Path) -> None:
    def fails(diff: LockDiff, read: Read) -> Facts:
        raise RecursionError

    world = world.branching()
    hub = Hub(world.origin)
    forge = FakeForge(hub, ForgeSettings.model_validate({"kind": "github", "token": {"env": "T"}}))
    found = [move_to(world.index, "side", "1.1")]

    bump = propose(
        world.bump(), world.app, world.repository(), found, workshop(world.uv), world.gate, lambda: LATER, forge, fails
    )

    assert (bump.stage, bump.proposal) == (BumpStage.PROPOSED, 1)
    assert "| `side` | `1.0` | `1.1` |" in hub.get(1).body


def test_two_apps_in_one_repository_do_not_share_a_branch(world: World) -> None:
    world.origin.write({"other.txt": "side==1.0\n"}, "Another lock")
    other = replace(world, app=world.app.model_copy(update={"lock": "other.txt", "propose": "branch"}))
    twin = replace(other.bump(), app="stock", id=Bump.id_of("stock", "side", "1.1"))

    mine, theirs = world.branching().propose(), other.propose(twin)

    assert (mine.branch, theirs.branch) == (BRANCH, "toplayer/stock/side")


# --- bad days --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("branching", [False, True])
def test_a_remote_that_refuses_is_quoted_and_nothing_is_left(world: World, branching: bool) -> None:
    world = world.branching() if branching else world
    tip = world.origin.tip()
    world.origin.hook("pre-receive", "echo 'the office is closed'; exit 1")

    with pytest.raises(GitRefused, match="the office is closed"):
        world.propose()

    assert world.origin.tip() == tip
    assert world.origin.git("for-each-ref", "--format=%(refname)") == "refs/heads/main"


def test_a_branch_that_moves_while_we_work_is_worked_on_again(world: World) -> None:
    moves = iter([lambda: world.origin.write({"requirements.txt": "core==1.0\nside==1.0\n"}, "Meanwhile")])
    repository = Overtaking(world.repository(), lambda: next(moves, lambda: None)())
    found = [move_to(world.index, "side", "1.1")]

    with pytest.raises(BranchMoved):
        propose(world.bump(), world.app, repository, found, workshop(world.uv), world.gate, lambda: LATER)
    propose(world.bump(), world.app, repository, found, workshop(world.uv), world.gate, lambda: LATER)

    assert world.origin.log() == ["Bump side from 1.0 to 1.1", "Meanwhile", "First"]
    assert world.origin.text("requirements.txt") == "core==1.0\nside==1.1\n"


class Overtaking(Repository):
    """A repository in which something happens right before each push."""

    def __init__(self, real: Repository, happens: Callable[[], object]) -> None:
        self.__dict__.update(real.__dict__)
        self._happens = happens

    def push(self, commit: str, branch: str, expected: str | None) -> None:
        self._happens()
        super().push(commit, branch, expected)


def test_what_is_closed_for_an_older_version_while_we_work_is_opened_for_ours(world: World) -> None:
    world = world.branching()
    world.index.publish("side", "1.2")
    hub = Hub(world.origin)
    forge = FakeForge(hub, ForgeSettings.model_validate({"kind": "github", "token": {"env": "T"}}))

    def proposed(version: str, repository: Repository) -> Bump:
        found = [move_to(world.index, "side", version)]
        bump = world.bump(version)
        return propose(bump, world.app, repository, found, workshop(world.uv), world.gate, lambda: LATER, forge)

    assert proposed("1.1", world.repository()).proposal == 1
    closing = Overtaking(world.repository(), lambda: hub.edit(1, state="closed"))
    assert proposed("1.2", closing).proposal == 2
    assert [(pull.number, pull.state) for pull in hub.all()] == [(2, "open"), (1, "closed")]


def test_a_lock_that_cannot_move_leaves_nothing(world: World) -> None:
    tip = world.origin.tip()
    world.index.publish("side", "1.2", requires=["core>=5"])

    with pytest.raises(LockRefused, match=r"requirements.txt: side cannot move to 1.2: .*core>=5"):
        world.propose(world.bump("1.2"))

    assert world.origin.tip() == tip


@pytest.mark.parametrize("answers", [[500], [0, 503], [0, 0, 0, 500], [0, 0, 0, 0, 502]])
def test_a_remote_with_bad_days_gets_one_commit_in_the_end(world: World, answers: list[int]) -> None:
    with git_host(world.origin.directory.parent) as host:
        far = replace(world, app=world.app.model_copy(update={"repository": f"{host.url}/shop.git"}))
        # The host takes pushes from people it knows, and everybody is known here.
        world.origin.git("config", "http.receivepack", "true")
        host.answers[:] = answers
        with pytest.raises(GitUnreachable):
            far.propose()

        bump = far.propose()

    assert bump.commit == world.origin.tip()
    assert world.origin.log() == ["Bump side from 1.0 to 1.1", "First"]


@pytest.mark.parametrize("branching", [False, True])
def test_killed_before_any_of_its_commands_it_makes_one_commit_in_the_end(world: World, branching: bool) -> None:
    world = world.branching() if branching else world
    found = [move_to(world.index, "side", "1.1")]
    # One half of the commands here, and the other there.
    branch, count, killed = (BRANCH, 0, True) if branching else ("main", -1, True)
    commits = set[str]()
    while killed:
        count += 2
        killed = dies_at(
            count,
            lambda event, _: event == "subprocess.Popen",
            lambda: propose(
                world.bump(), world.app, world.repository(), found, workshop(world.uv), world.gate, lambda: LATER
            ),
        )
        bump = propose(
            world.bump(), world.app, world.repository(), found, workshop(world.uv), world.gate, lambda: LATER
        )
        assert world.origin.log(branch) == ["Bump side from 1.0 to 1.1", "First"]
        assert bump.commit == world.origin.tip(branch)
        commits.add(bump.commit)
        world.origin.git("update-ref", "refs/heads/main", f"{bump.commit}~1")
        if branching:
            world.origin.git("update-ref", "-d", f"refs/heads/{BRANCH}")

    assert len(commits) == 1
    assert count > 10
    for place in (world.state / "scratch", world.state / "git" / "shop.tmp"):
        assert [path.name for path in place.iterdir()] == ["lock"]


@pytest.mark.parametrize("branching", [False, True])
def test_killed_after_the_push_and_before_the_note_it_makes_no_second_commit(world: World, branching: bool) -> None:
    world = world.branching() if branching else world
    found = [move_to(world.index, "side", "1.1")]

    def die(repository: Repository) -> None:
        try:
            propose(world.bump(), world.app, repository, found, workshop(world.uv), world.gate, lambda: LATER)
        finally:
            os.kill(os.getpid(), 9)

    pid = os.fork()
    if pid == 0:
        die(world.repository())
    os.waitpid(pid, 0)

    bump = world.propose()
    assert world.origin.log(bump.branch) == ["Bump side from 1.0 to 1.1", "First"]
    assert bump.commit == world.origin.tip(bump.branch)
