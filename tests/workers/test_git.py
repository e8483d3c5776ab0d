"""The door to git, against real repositories: on disk, behind HTTP with a password, and behind sshd."""

import base64
import fcntl
import os
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.rig.git_server import Origin, git_host, ssh_host
from tests.rig.process import free_port, need_root, wait_for
from watcher.dockerfile.settings import DockerfileSettings
from watcher.errors import Refused, Temporary
from watcher.secret import Secret
from watcher.settings import GitSettings
from watcher.source import Source
from workers.dockerfile import context
from workers.git import BranchMoved, GitRefused, GitUnreachable, Repository
from workers.git.errors import MirrorDamaged
from workers.git.submodules import resolved, submodules
from workers.image import code

TOKEN = "t0ken/of+a=bot"
MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
BOT = "toplayer <toplayer@bot.example>"
HOSTILE = ("; touch pwned", "$(touch pwned)", "--output=pwned", "../../pwned", "-x", "a\nb", "\x1b[31m", "'\"`|&<>")


@dataclass(frozen=True)
class Place:
    """One repository, and one way to reach it."""

    origin: Origin
    url: str
    git: GitSettings
    state: Path

    def repository(self, branch: str = "main", name: str = "shop") -> Repository:
        return Repository(self.url, branch, self.state / "git" / f"{name}.git", self.git)


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    made = Origin(tmp_path / "srv" / "shop.git")
    for n in range(4):
        made.write({"lock.txt": f"requests==2.{n}\n", "app/main.py": "print()\n"}, f"Work {n}")
    return made


@pytest.fixture(params=["path", "file", "http", "ssh"])
def place(request: pytest.FixtureRequest, origin: Origin, tmp_path: Path) -> Iterator[Place]:
    state = tmp_path / "state"
    if request.param == "path":
        yield Place(origin, str(origin.directory), GitSettings(), state)
    elif request.param == "file":
        yield Place(origin, origin.directory.as_uri(), GitSettings(), state)
    elif request.param == "http":
        with git_host(tmp_path / "srv", {"bot": TOKEN}) as host:
            yield Place(origin, f"{host.url}/shop.git", with_token(tmp_path), state)
    else:
        with ssh_host(tmp_path / "ssh") as (port, key):
            user = subprocess.run(["id", "-un"], capture_output=True, check=True, text=True).stdout.strip()
            url = f"ssh://{user}@127.0.0.1:{port}{origin.directory}"
            yield Place(origin, url, GitSettings(ssh_key=str(key)), state)


@pytest.fixture
def local(origin: Origin, tmp_path: Path) -> Place:
    return Place(origin, str(origin.directory), GitSettings(), tmp_path / "state")


def with_token(directory: Path, token: str = TOKEN) -> GitSettings:
    file = directory / "token"
    file.write_text(f"{token}\n")
    return GitSettings(username="bot", password=Secret(file=str(file)))


def bump(repository: Repository, parent: str, text: str = "requests==2.9\n") -> str:
    return repository.commit(parent, {"lock.txt": text.encode()}, "Bump requests\n\nToplayer-Bump: x\n", BOT, MONDAY)


# --- what every way to a repository has in common --------------------------------------------------------------------


def test_a_fetch_sees_the_branch_and_ours_and_nobody_elses(place: Place) -> None:
    ours = place.origin.write({"x": "1"}, branch="toplayer/shop/requests")
    place.origin.write({"x": "1"}, branch="feature")

    seen = place.repository().fetch()

    assert seen.tip == place.origin.tip()
    assert abs((datetime.now(UTC) - seen.committed_at).total_seconds()) < 600
    assert seen.branches == {"toplayer/shop/requests": ours}


def test_a_fetch_follows_the_branch_wherever_it_goes(place: Place) -> None:
    repository = place.repository()
    repository.fetch()
    place.origin.write({"x": "1"}, branch="toplayer/a")
    assert repository.fetch().branches.keys() == {"toplayer/a"}

    place.origin.git("update-ref", "-d", "refs/heads/toplayer/a")
    place.origin.write({"x": "1"}, branch="toplayer/a/b")
    place.origin.git("update-ref", "-d", "refs/heads/main")
    rewritten = place.origin.write({"lock.txt": "new history\n"})

    seen = repository.fetch()
    assert (seen.tip, set(seen.branches)) == (rewritten, {"toplayer/a/b"})
    assert repository.read(seen.tip, "lock.txt") == b"new history\n"


def test_a_commit_becomes_a_branch_and_the_same_push_again_changes_nothing(place: Place) -> None:
    repository = place.repository()
    tip = repository.fetch().tip

    commit = bump(repository, tip)
    repository.push(commit, "toplayer/shop/requests", None)
    repository.push(commit, "toplayer/shop/requests", None)

    assert place.origin.log("toplayer/shop/requests") == ["Bump requests", "Work 3", "Work 2", "Work 1", "Work 0"]
    assert place.origin.text("lock.txt", "toplayer/shop/requests") == "requests==2.9\n"
    assert repository.fetch().branches == {"toplayer/shop/requests": commit}


def test_the_app_s_branch_moves_forward(place: Place) -> None:
    repository = place.repository()
    tip = repository.fetch().tip
    commit = bump(repository, tip)

    repository.push(commit, "main", tip)

    assert repository.fetch().tip == commit == place.origin.tip()


def test_a_push_onto_a_branch_that_moved_in_the_meantime_changes_nothing(place: Place) -> None:
    repository = place.repository()
    tip = repository.fetch().tip
    commit = bump(repository, tip)
    moved = place.origin.write({"lock.txt": "a person was here\n"})

    with pytest.raises(BranchMoved) as caught:
        repository.push(commit, "main", tip)

    assert place.origin.tip() == moved
    assert "`main`" in str(caught.value)


def test_a_hook_that_says_no_is_quoted_and_nothing_is_pushed(place: Place) -> None:
    place.origin.hook("pre-receive", "echo 'no deploys on Monday'; printf '\\033[31m'; exit 1")
    repository = place.repository()
    tip = repository.fetch().tip
    commit = bump(repository, tip)

    with pytest.raises(GitRefused) as caught:
        repository.push(commit, "main", tip)

    assert "no deploys on Monday" in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert 'propose = "branch"' in caught.value.hint
    assert place.origin.tip() == tip


def test_a_missing_branch_is_named(place: Place) -> None:
    with pytest.raises(GitRefused, match="has no branch `production`") as caught:
        place.repository(branch="production").fetch()

    assert caught.value.hint


def test_a_missing_repository_is_refused(place: Place) -> None:
    gone = Place(place.origin, place.url.replace("shop.git", "gone.git"), place.git, place.state)

    with pytest.raises(GitRefused):
        gone.repository().fetch()


def test_a_commit_that_fell_out_of_sight_is_fetched_again(place: Place) -> None:
    old = place.origin.git("rev-parse", "main~3")

    assert place.repository().read(old, "lock.txt") == b"requests==2.0\n"


# --- reading ---------------------------------------------------------------------------------------------------------


def test_reading_tells_a_file_from_no_file(local: Place) -> None:
    tip = local.origin.write({"Grüße.txt": "hallo", "crlf.txt": "a\r\n", ".gitattributes": "* text=auto eol=lf\n"})
    repository = local.repository()

    assert repository.read(tip, "crlf.txt") == b"a\r\n"
    assert repository.read(tip, "Grüße.txt") == b"hallo"
    assert repository.read(tip, "app") is None
    assert repository.read(tip, "no*.txt") is None
    assert repository.files(tip) == (".gitattributes", "Grüße.txt", "app/main.py", "crlf.txt", "lock.txt")


def test_a_link_in_place_of_a_file_and_a_file_too_large_are_refused(local: Place) -> None:
    blob = local.origin.git("hash-object", "-w", "--stdin", input=b"/etc/passwd")
    tree = local.origin.git("mktree", input=f"120000 blob {blob}\tlock.txt\n".encode())
    linked = local.origin.git("commit-tree", tree, "-m", "link")
    local.origin.git("update-ref", "refs/heads/main", linked)

    with pytest.raises(GitRefused, match="symbolic link"):
        local.repository().read(linked, "lock.txt")
    with pytest.raises(GitRefused, match="at most 3 bytes, got 4"):
        local.repository().read(local.origin.write({"big": "1234"}), "big", largest=3)


@pytest.mark.parametrize("commit", ["", "main", "--all", "HEAD^{/x}", "0" * 39, "g" * 40, *HOSTILE])
def test_only_the_id_of_a_commit_names_a_commit(local: Place, commit: str) -> None:
    with pytest.raises(GitRefused, match="expected the id of a commit"):
        local.repository().show(commit)


def test_an_unknown_commit_is_refused(local: Place) -> None:
    with pytest.raises(GitRefused, match="not our ref"):
        local.repository().show("1" * 40)


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_an_export_is_what_a_checkout_would_be(local: Place, tmp_path: Path, umask: int) -> None:
    blob = local.origin.git("hash-object", "-w", "--stdin", input=b"#!/bin/sh\n")
    link = local.origin.git("hash-object", "-w", "--stdin", input=b"../../etc/passwd")
    lines = f"100755 blob {blob}\trun\n120000 blob {link}\tlink\n100644 blob {blob}\tplain\n"
    commit = local.origin.git("commit-tree", local.origin.git("mktree", input=lines.encode()), "-m", "tree")
    local.origin.git("update-ref", "refs/heads/main", commit)
    (tmp_path / "out").mkdir()
    before = os.umask(umask)
    try:
        local.repository().export(commit, tmp_path / "out")
    finally:
        os.umask(before)

    assert {path.name for path in (tmp_path / "out").iterdir()} == {"run", "link", "plain"}
    assert (tmp_path / "out" / "run").stat().st_mode & stat.S_IXUSR
    assert not (tmp_path / "out" / "plain").stat().st_mode & stat.S_IXUSR
    assert (tmp_path / "out" / "link").readlink() == Path("../../etc/passwd")


def with_submodule(origin: Origin, commit: str, url: str) -> str:
    """A commit of which the directory `vendor/lib` is a commit of another repository."""
    settings = f'[submodule "a.path"]\n\tpath = vendor/lib\n\turl = {url}\n'.encode() if url else b""
    blob = origin.git("hash-object", "-w", "--stdin", input=settings)
    vendor = origin.git("mktree", "--missing", input=f"160000 commit {commit}\tlib\n".encode())
    tree = origin.git("mktree", input=f"100644 blob {blob}\t.gitmodules\n040000 tree {vendor}\tvendor\n".encode())
    made = origin.git("commit-tree", tree, "-m", "module")
    origin.git("update-ref", "refs/heads/main", made)
    return made


def test_submodules_that_nobody_brings_are_told_and_not_left_empty(local: Place, tmp_path: Path) -> None:
    commit = with_submodule(local.origin, "1" * 40, "../lib.git")

    with pytest.raises(GitRefused, match="has submodules: vendor/lib"):
        local.repository().export(commit, tmp_path)


def test_submodules_of_submodules_come_along_by_their_commits(place: Place, tmp_path: Path) -> None:
    deep, lib = (Origin(tmp_path / "srv" / f"{name}.git") for name in ("deep", "lib"))
    deepest = deep.write({"deep.txt": "deep"})
    deep.write({"deep.txt": "later"})
    commit = with_submodule(place.origin, with_submodule(lib, deepest, "../deep.git"), "../lib.git")
    asked = []

    def bring(url: str, commit: str, into: Path) -> None:
        asked.append(url)
        name = url.rpartition("/")[2]
        Repository(url, "main", place.state / "git" / name, place.git).export(commit, into, bring)

    (tmp_path / "out").mkdir()
    place.repository().export(commit, tmp_path / "out", bring)

    assert (tmp_path / "out/vendor/lib/vendor/lib/deep.txt").read_text() == "deep"
    assert asked == [place.url.replace("shop.git", name) for name in ("lib.git", "deep.git")]


@pytest.mark.parametrize(
    ("base", "url", "why"),
    [
        ("https://git.example/team/shop.git", "/srv/secret.git", "on this machine's own disk"),
        ("https://git.example/team/shop.git", "file:///srv/secret.git", "on this machine's own disk"),
        ("git@git.example:team/shop.git", "", "does not say where that is"),
    ],
)
def test_a_submodule_is_elsewhere_and_not_on_our_own_disk(base: str, url: str, why: str) -> None:
    told = f"submodule.lib.path\nvendor/lib\0submodule.lib.url\n{url}\0".encode()

    with pytest.raises(GitRefused, match=why):
        list(submodules([("vendor/lib", "1" * 40)], told, base, "shop"))


@pytest.mark.parametrize(
    ("base", "url", "expected"),
    [
        ("https://git.example/team/shop.git", "../lib.git", "https://git.example/team/lib.git"),
        ("https://git.example/team/shop", "../../x/lib", "https://git.example/x/lib"),
        ("git@git.example:team/shop.git", "../../lib", "git@git.example:lib"),
        ("git@git.example:shop.git", "../lib", "git@git.example:lib"),
        ("https://git.example/shop", "../../../../../x", "https://git.example/x"),
        ("/srv/shop.git", "../lib.git", "/srv/lib.git"),
        ("/srv/shop.git", "https://git.example/lib", "https://git.example/lib"),
    ],
)
def test_an_address_of_a_submodule_may_be_seen_from_the_repositorys_own(base: str, url: str, expected: str) -> None:
    assert resolved(url, base) == expected


def test_what_git_lfs_keeps_elsewhere_is_told_and_not_left_as_a_pointer(local: Place, tmp_path: Path) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'1' * 64}\nsize 5\n"
    commit = local.origin.write({".gitattributes": "*.bin filter=lfs\n", "models/one.bin": pointer, "two.bin": "2"})

    with pytest.raises(GitRefused, match=r"Git LFS keeps elsewhere: models/one\.bin"):
        local.repository().export(commit, tmp_path)


def test_what_git_lfs_keeps_may_be_missing_where_an_ignore_file_leaves_it_out(local: Place, tmp_path: Path) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'1' * 64}\nsize 5\n"
    files = {".gitattributes": "*.bin filter=lfs\n", "tests/a.bin": pointer, "app/b.bin": pointer, "c.bin": pointer}
    ignores = {".toplayerignore": "tests\nc.bin\n", "app/.dockerignore": "*.bin\n"}
    commit = local.origin.write(files | ignores)

    with pytest.raises(GitRefused, match=r"Git LFS keeps elsewhere: app/b\.bin$"):
        local.repository().export(commit, made(tmp_path / "layers"), uses=code.uses)
    image = DockerfileSettings(context="app")
    local.repository().export(commit, made(tmp_path / "app"), uses=lambda root: context.uses(root, image))
    wider = DockerfileSettings(context="app", contexts={"more": "tests"})
    with pytest.raises(GitRefused, match=r"Git LFS keeps elsewhere: tests/a\.bin$"):
        local.repository().export(commit, made(tmp_path / "more"), uses=lambda root: context.uses(root, wider))


def test_no_ignore_file_counts_where_something_is_built_from_the_tree() -> None:
    path, git = (Source(package="lib", lock="uv.lock", kind=kind, at="lib") for kind in ("path", "git"))
    assert code.used_by(["uv.lock"], [git]) is code.uses
    assert code.used_by(["uv.lock"], [git, path]) is None
    assert code.used_by(["uv.lock", "php/composer.lock"], []) is None


def made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def test_attributes_in_a_repository_run_nothing(local: Place, tmp_path: Path) -> None:
    attributes = "* filter=evil diff=evil merge=evil\n"
    evil = "".join(f'[{kind} "evil"]\n\t{key} = touch {tmp_path}/pwned\n' for kind, key in FILTERS)
    files = {".gitattributes": attributes, ".gitconfig": evil, ".lfsconfig": evil, "a.txt": "a\n"}
    commit = local.origin.write(files)
    (tmp_path / "tree").mkdir()

    local.repository().export(commit, tmp_path / "tree")

    assert (tmp_path / "tree" / "a.txt").read_text() == "a\n"
    assert not (tmp_path / "pwned").exists()


FILTERS = (("filter", "smudge"), ("filter", "process"), ("diff", "textconv"), ("merge", "driver"))


@pytest.mark.parametrize("name", [".git", "..", ".GIT"])
def test_a_tree_that_would_leave_its_directory_is_refused(local: Place, tmp_path: Path, name: str) -> None:
    blob = local.origin.git("hash-object", "-w", "--stdin", input=b"[core]\n")
    inner = local.origin.git("mktree", input=f"100644 blob {blob}\tconfig\n".encode())
    entry = f"40000 {name}".encode() + b"\0" + bytes.fromhex(inner)
    tree = local.origin.git("hash-object", "-w", "-t", "tree", "--literally", "--stdin", input=entry)
    commit = local.origin.git("commit-tree", tree, "-m", "hostile")
    local.origin.git("update-ref", "refs/heads/main", commit)
    (tmp_path / "out").mkdir()

    with pytest.raises(GitRefused):
        local.repository().export(commit, tmp_path / "out")

    assert list((tmp_path / "out").rglob("*")) == []


# --- writing ---------------------------------------------------------------------------------------------------------


def test_the_same_commit_has_the_same_id_in_every_mirror(local: Place) -> None:
    one, two = local.repository(name="one"), local.repository(name="two")

    first, second = bump(one, one.fetch().tip), bump(two, two.fetch().tip)

    assert first == second
    made = one.show(first)
    assert (made.author, made.is_untouched_by(BOT)) == (f"{BOT} {int(MONDAY.timestamp())} +0000", True)
    assert (made.committed_at, made.trailer("Toplayer-Bump")) == (MONDAY, "x")


def test_a_commit_changes_its_files_and_nothing_else(local: Place) -> None:
    local.origin.git("config", "core.fileMode", "true")
    tip = local.origin.write({"lock.txt": "1\n"})
    blob = local.origin.git("rev-parse", "main:lock.txt")
    listing = local.origin.git("ls-tree", tip).replace(f"100644 blob {blob}", f"100755 blob {blob}")
    tip = local.origin.git(
        "commit-tree", local.origin.git("mktree", input=f"{listing}\n".encode()), "-p", tip, "-m", "x"
    )
    local.origin.git("update-ref", "refs/heads/main", tip)
    repository = local.repository()

    commit = repository.commit(tip, {"lock.txt": b"2\r\n", "new/file": b""}, "Two", BOT, MONDAY)
    repository.push(commit, "toplayer/x", None)

    changes = local.origin.git("diff-tree", "-r", "--name-status", tip, commit)
    assert changes.splitlines() == ["M\tlock.txt", "A\tnew/file"]
    assert local.origin.git("ls-tree", commit, "lock.txt").startswith("100755 ")
    assert local.origin.text("lock.txt", commit) == "2\r\n"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_stay_words(local: Place, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    repository = local.repository()
    tip = repository.fetch().tip

    commit = repository.commit(tip, {"lock.txt": text.encode()}, f"{text}\0", BOT, MONDAY)
    repository.push(commit, "toplayer/x", None)

    assert local.origin.git("log", "-1", "--format=%B", "toplayer/x").strip() == text.strip()
    assert local.origin.text("lock.txt", "toplayer/x") == text
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize("path", ["../x", ".git/hooks/post-checkout", "/etc/x", "a/../../x"])
def test_a_path_outside_the_repository_is_never_committed(local: Place, path: str) -> None:
    repository = local.repository()

    with pytest.raises(GitRefused):
        repository.commit(repository.fetch().tip, {path: b"x"}, "x", BOT, MONDAY)


def test_only_our_own_branches_are_rewritten(local: Place) -> None:
    repository = local.repository()
    tip = repository.fetch().tip
    first, second = bump(repository, tip, "1\n"), bump(repository, tip, "2\n")
    repository.push(first, "toplayer/x", None)
    repository.push(first, "main", tip)

    repository.push(second, "toplayer/x", first)
    with pytest.raises(GitRefused, match="does not grow out of"):
        repository.push(second, "main", first)

    assert (local.origin.tip("toplayer/x"), local.origin.tip()) == (second, first)


def test_a_branch_that_is_not_as_we_saw_it_is_not_rewritten(local: Place) -> None:
    repository = local.repository()
    tip = repository.fetch().tip
    first, second = bump(repository, tip, "1\n"), bump(repository, tip, "2\n")
    repository.push(first, "toplayer/x", None)
    of_a_person = local.origin.write({"fix": "1"}, branch="toplayer/x")

    for expected in (None, first):
        with pytest.raises(BranchMoved):
            repository.push(second, "toplayer/x", expected)
    local.origin.git("update-ref", "-d", "refs/heads/toplayer/x")
    with pytest.raises(BranchMoved):
        repository.push(second, "toplayer/x", of_a_person)

    assert not local.origin.tip("toplayer/x")


def test_a_branch_of_ours_is_deleted_where_we_saw_it_and_nowhere_else(place: Place) -> None:
    repository = place.repository()
    ours = place.origin.write({"x": "1"}, branch="toplayer/shop/requests")
    repository.fetch()
    with pytest.raises(BranchMoved):
        repository.delete("toplayer/shop/requests", place.origin.tip())
    assert place.origin.tip("toplayer/shop/requests") == ours

    repository.delete("toplayer/shop/requests", ours)

    assert repository.fetch().branches == {}
    with pytest.raises(BranchMoved):
        repository.delete("toplayer/shop/requests", ours)


def test_only_a_branch_of_ours_is_ever_deleted(local: Place) -> None:
    with pytest.raises(GitRefused, match="is not a branch of ours"):
        local.repository().delete("main", local.origin.tip())

    assert local.origin.tip()


@pytest.mark.parametrize(
    ("theirs", "fits"),
    [
        ({"app/main.py": "print(1)\n"}, True),
        ({"lock.txt": "a==1\nb==1\nc==1\nd==1\ne==2\n"}, True),
        ({"lock.txt": "a==2\nb==1\nc==1\nd==1\ne==1\n"}, True),
        ({"lock.txt": "a==3\nb==1\nc==1\nd==1\ne==1\n"}, False),
        ({"lock.txt": "a==1\nb==2\nc==1\nd==1\ne==1\n"}, False),
        ({"lock.txt": None}, False),
        ({"lock.txt": b"\0\1\2"}, False),
        ({"lock.txt": None, "lock.txt/inside": "a directory"}, False),
        ({}, True),
    ],
)
def test_a_change_is_seen_to_fit_as_git_would_merge_it(
    local: Place, theirs: dict[str, str | bytes | None], fits: bool
) -> None:
    local.origin.write({"lock.txt": "a==1\nb==1\nc==1\nd==1\ne==1\n"}, "The lock")
    repository = local.repository()
    commit = bump(repository, repository.fetch().tip, "a==2\nb==1\nc==1\nd==1\ne==1\n")
    repository.push(commit, "toplayer/shop/a", None)
    local.origin.write(theirs, "Meanwhile")
    local.origin.write({"other": "1"}, "And more")

    fresh = local.repository()
    seen = fresh.fetch()

    assert fresh.conflicts(seen.branches["toplayer/shop/a"], seen.tip) is not fits


def test_a_new_file_that_somebody_else_made_too_does_not_fit(local: Place) -> None:
    repository = local.repository()
    commit = repository.commit(repository.fetch().tip, {"new.txt": b"1\n"}, "New", BOT, MONDAY)
    local.origin.write({"new.txt": "2\n"}, "New, too")

    assert repository.conflicts(commit, repository.fetch().tip)


def test_a_branch_in_the_way_of_ours_is_refused_and_not_tried_forever(local: Place) -> None:
    local.origin.write({"x": "1"}, branch="toplayer/x")
    repository = local.repository()
    tip = repository.fetch().tip

    with pytest.raises(GitRefused, match="exists; cannot create"):
        repository.push(bump(repository, tip), "toplayer/x/y", None)


def test_a_person_s_work_tree_is_not_pushed_under(local: Place, tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "-q", str(local.origin.directory), str(tmp_path / "work")], check=True)
    repository = Place(local.origin, str(tmp_path / "work"), GitSettings(), local.state).repository()
    tip = repository.fetch().tip

    with pytest.raises(GitRefused, match="currently checked out") as caught:
        repository.push(bump(repository, tip), "main", tip)

    assert "bare repository" in caught.value.hint


# --- secrets ---------------------------------------------------------------------------------------------------------


def test_a_token_is_nowhere_but_in_the_request(
    origin: Origin, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    encoded = base64.b64encode(f"bot:{TOKEN}".encode()).decode()
    origin.hook("pre-receive", f"test ! -e refuse || {{ echo 'you sent {TOKEN} as {encoded}'; exit 1; }}")
    said = []
    with git_host(tmp_path / "srv", {"bot": TOKEN}) as host:
        repository = Repository(f"{host.url}/shop.git", "main", tmp_path / "state" / "m.git", with_token(tmp_path))
        tip = repository.fetch().tip
        repository.push(bump(repository, tip), "toplayer/x", None)
        (origin.directory / "refuse").touch()
        for answers in ([], [403], [0, 0, 500]):
            host.answers[:] = answers
            with pytest.raises((GitRefused, GitUnreachable)) as caught:
                repository.push(bump(repository, tip, "2\n"), "main", tip)
            said.append(f"{caught.value!r} {caught.value} {caught.value.args}")
        assert f"bot:{TOKEN}" in host.credentials
        assert any(" push --porcelain" in command for command in host.commands)

    files = [file for file in (tmp_path / "state").rglob("*") if file.is_file()]
    seen = "\n".join([*said, *host.commands, caplog.text, *capfd.readouterr()])
    assert "you sent *** as ***" in seen
    assert all(secret not in seen for secret in (TOKEN, encoded))
    assert all(secret.encode() not in file.read_bytes() for file in files for secret in (TOKEN, encoded))


def test_who_has_no_password_logs_in_with_what_the_forge_gives(origin: Origin, tmp_path: Path) -> None:
    asked: list[int] = []

    def login() -> tuple[str, str]:
        asked.append(1)
        return "bot", TOKEN

    with git_host(tmp_path / "srv", {"bot": TOKEN}) as host:
        mine = Repository(f"{host.url}/shop.git", "main", tmp_path / "a.git", GitSettings(), login)
        assert mine.fetch().tip == origin.tip()
        own = Repository(f"{host.url}/shop.git", "main", tmp_path / "b.git", with_token(tmp_path), login)
        assert own.fetch().tip == origin.tip()
    assert Repository(str(origin.directory), "main", tmp_path / "c.git", GitSettings(), login).fetch()

    assert set(host.credentials) == {f"bot:{TOKEN}"}
    assert not [line for line in host.commands if TOKEN in line]
    assert len(asked) == 1


def test_a_token_in_place_of_a_user_name_is_a_secret_too(origin: Origin, tmp_path: Path) -> None:
    with git_host(tmp_path / "srv", {"ghp_t0ken": ""}) as host:
        url = host.url.replace("http://", "http://ghp_t0ken@")
        repository = Repository(f"{url}/shop.git", "main", tmp_path / "m.git", GitSettings())
        assert repository.fetch().tip == origin.tip()
        host.answers[:] = [503]
        with pytest.raises(GitUnreachable) as caught:
            repository.fetch()

    assert "ghp_t0ken" not in "".join([repr(caught.value), repository.where, *host.commands])
    assert "ghp_t0ken:" in host.credentials


def test_a_redirect_elsewhere_does_not_get_the_token(origin: Origin, tmp_path: Path) -> None:
    with git_host(tmp_path / "srv") as thief, git_host(tmp_path / "srv", {"bot": TOKEN}) as host:
        thief.users = {"nobody": "x"}
        host.elsewhere = thief.url
        with pytest.raises(GitRefused):
            Repository(f"{host.url}/shop.git", "main", tmp_path / "m.git", with_token(tmp_path)).fetch()

    assert thief.requests
    assert thief.credentials == []


def test_a_secret_that_cannot_be_read_is_named(origin: Origin, tmp_path: Path) -> None:
    git = GitSettings(password=Secret(env="NOT_SET_ANYWHERE"))

    with pytest.raises(GitRefused, match="NOT_SET_ANYWHERE is not set"):
        Repository("http://127.0.0.1:1/shop.git", "main", tmp_path / "m.git", git).fetch()


def test_a_changed_host_key_is_refused(origin: Origin, tmp_path: Path) -> None:
    with ssh_host(tmp_path / "ssh") as (port, key):
        url = f"ssh://127.0.0.1:{port}{origin.directory}"
        repository = Repository(url, "main", tmp_path / "state" / "m.git", GitSettings(ssh_key=str(key)))
        repository.fetch()
        known = tmp_path / "state" / "known_hosts"
        kind = known.read_text().split()[:2]
        other = (tmp_path / "ssh" / "person.pub").read_text().split()[1]
        known.write_text(" ".join([*kind, other]) + "\n")

        with pytest.raises(GitRefused, match="Host key verification failed"):
            repository.fetch()


def test_a_key_that_is_not_let_in_is_refused(origin: Origin, tmp_path: Path) -> None:
    with ssh_host(tmp_path / "ssh") as (port, _):
        git = GitSettings(ssh_key=str(tmp_path / "ssh" / "host"))
        with pytest.raises(GitRefused, match="Permission denied"):
            Repository(f"ssh://127.0.0.1:{port}{origin.directory}", "main", tmp_path / "m.git", git).fetch()


# --- other people's configuration ------------------------------------------------------------------------------------


def test_no_configuration_of_strangers_counts(local: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evil = tmp_path / ".gitconfig"
    evil.write_text(f'[url "ext::sh -c true "]\n\tinsteadOf = {local.url}\n[core]\n\thooksPath = {tmp_path}\n')
    for name, text in {"HOME": str(tmp_path), "GIT_CONFIG_GLOBAL": str(evil), "GIT_DIR": "/nonexistent"}.items():
        monkeypatch.setenv(name, text)
    repository = local.repository()
    tip = repository.fetch().tip
    hook = local.state / "git" / "shop.git" / "hooks" / "pre-push"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)

    repository.push(bump(repository, tip), "toplayer/x", None)

    assert local.origin.tip("toplayer/x")


def test_a_repository_of_another_owner_is_read_and_written(local: Place) -> None:
    need_root()
    for path in (local.origin.directory, *local.origin.directory.rglob("*")):
        os.chown(path, 65534, 65534)
    repository = local.repository()
    tip = repository.fetch().tip

    repository.push(bump(repository, tip), "main", tip)


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c 'touch pwned'",
        "git://127.0.0.1/x",
        "--upload-pack=touch pwned",
        "fd::17",
        "http::x",
        "-oProxyCommand=x",
    ],
)
def test_an_address_that_is_a_command_is_refused(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(GitRefused, match="expected a path or an address"):
        Repository(url, "main", tmp_path / "m.git", GitSettings()).fetch()

    assert not list(tmp_path.rglob("pwned"))


# --- bad days --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        *[([500], GitUnreachable), ([503], GitUnreachable), ([429], GitUnreachable), ([0, 502], GitUnreachable)],
        *[([401], GitRefused), ([403], GitRefused), ([404], GitRefused)],
    ],
)
def test_a_host_that_cannot_now_is_told_from_one_that_says_no(
    origin: Origin, tmp_path: Path, answers: list[int], kind: type[Exception]
) -> None:
    with git_host(tmp_path / "srv") as host:
        repository = Repository(f"{host.url}/shop.git", "main", tmp_path / "m.git", GitSettings())
        host.answers[:] = answers
        with pytest.raises(kind):
            repository.fetch()

        assert repository.fetch().tip == origin.tip()


@pytest.mark.parametrize("answers", [[500], [0, 500], [0, 0, 500]])
def test_a_push_that_fails_half_way_is_tried_again(origin: Origin, tmp_path: Path, answers: list[int]) -> None:
    with git_host(tmp_path / "srv", {"bot": TOKEN}) as host:
        repository = Repository(f"{host.url}/shop.git", "main", tmp_path / "m.git", with_token(tmp_path))
        tip = repository.fetch().tip
        commit = bump(repository, tip)
        host.answers[:] = answers
        with pytest.raises(GitUnreachable):
            repository.push(commit, "main", tip)

        repository.push(commit, "main", tip)

    assert origin.log()[:2] == ["Bump requests", "Work 3"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/x.git", "ssh://git@127.0.0.1:{port}/x.git"])
def test_nobody_at_home_is_worth_a_second_try(tmp_path: Path, url: str) -> None:
    with pytest.raises(GitUnreachable, match="did not answer"):
        Repository(url.format(port=free_port()), "main", tmp_path / "m.git", GitSettings()).fetch()


def test_a_full_disk_is_told_and_leaves_a_mirror_that_works(origin: Origin, tmp_path: Path) -> None:
    need_root()
    origin.write({"large": os.urandom(400_000)})
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], check=True)
    try:
        repository = Repository(str(origin.directory), "main", disk / "m.git", GitSettings())
        with pytest.raises(GitRefused) as caught:
            repository.fetch()
        subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)

        assert repository.fetch().tip == origin.tip()
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert "room on the disk" in caught.value.hint


def test_a_state_directory_that_cannot_be_made_is_told(origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(GitRefused, match="cannot be written: File exists"):
        Repository(str(origin.directory), "main", tmp_path / "file" / "m.git", GitSettings()).fetch()


def test_a_damaged_mirror_is_made_anew(local: Place) -> None:
    repository = local.repository()
    repository.fetch()
    for file in (local.state / "git" / "shop.git" / "objects").glob("??/*"):
        file.chmod(0o600)
        file.write_bytes(b"")

    with pytest.raises(MirrorDamaged):
        local.repository().fetch()

    assert local.repository().read(local.origin.tip(), "lock.txt") == b"requests==2.3\n"


def test_lock_files_of_a_killed_git_belong_to_nobody(local: Place) -> None:
    repository = local.repository()
    repository.fetch()
    mirror = local.state / "git" / "shop.git"
    for name in ("shallow.lock", "HEAD.lock", "packed-refs.lock", "refs/remotes/origin/tip.lock", "config.lock"):
        (mirror / name).touch()
    local.origin.write({"lock.txt": "next\n"})

    assert repository.fetch().tip == local.origin.tip()


# --- several processes, some of them killed --------------------------------------------------------------------------

SCRIPT = """
    import os, signal, sys
    from pathlib import Path
    from watcher.settings import GitSettings
    from workers.git import Repository

    url, mirror, die_at = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    started = 0

    def count(event, _):
        global started
        if event == "subprocess.Popen":
            started += 1
            if started == die_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    print(Repository(url, "main", mirror, GitSettings()).fetch().tip)
"""


def fetching(url: str, mirror: Path, die_at: int = 0) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", textwrap.dedent(SCRIPT), url, str(mirror), str(die_at)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def test_several_processes_share_a_mirror(local: Place) -> None:
    mirror = local.state / "git" / "shop.git"

    processes = [fetching(local.url, mirror) for _ in range(4)]

    assert [process.communicate()[0].strip() for process in processes] == [local.origin.tip()] * 4


def test_a_fetch_killed_before_any_of_its_commands_is_made_good_by_the_next(local: Place) -> None:
    mirror, codes = local.state / "git" / "shop.git", list[int]()
    while not codes or codes[-1] != 0:
        with fetching(local.url, mirror, die_at=len(codes) + 1) as process:
            process.communicate()
        codes.append(process.returncode)
        assert Repository(local.url, "main", mirror, GitSettings()).fetch().tip == local.origin.tip()
        local.origin.write({"lock.txt": f"{len(codes)}\n"})

    assert set(codes[:-1]) == {-signal.SIGKILL}
    assert len(codes) > 3


def test_a_git_that_outlives_its_killed_master_keeps_the_others_out(origin: Origin, tmp_path: Path) -> None:
    mirror = tmp_path / "m.git"
    with git_host(tmp_path / "srv") as host:
        Repository(f"{host.url}/shop.git", "main", mirror, GitSettings()).fetch()
        host.open.clear()
        host.requests.clear()
        with fetching(f"{host.url}/shop.git", mirror) as process:
            wait_for(lambda: bool(host.requests), "the request")
            process.kill()
        with (tmp_path / "m.lock").open() as lock:
            held = is_held(lock.fileno())
            host.open.set()
            wait_for(lambda: not is_held(lock.fileno()), "the end of the orphan")
            fcntl.flock(lock, fcntl.LOCK_UN)

        assert held
        assert Repository(f"{host.url}/shop.git", "main", mirror, GitSettings()).fetch().tip == origin.tip()


def is_held(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


@pytest.mark.parametrize("act", [lambda r: r.fetch(), lambda r: r.show("1" * 40), lambda r: r.files("1" * 40)])
def test_whatever_goes_wrong_is_one_of_our_errors(tmp_path: Path, act: Callable[[Repository], object]) -> None:
    with pytest.raises((Temporary, Refused)):
        act(Repository(str(tmp_path), "main", tmp_path / "m.git", GitSettings()))
