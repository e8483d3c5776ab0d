"""Which files of a commit are in the image."""

import subprocess
from pathlib import Path

import pytest

from tests.rig.process import need
from watcher.settings import ImageSettings
from workers.image.code import code

IMAGE = ImageSettings(repository="oci:/images", python="3.12", code="/srv/app")


def tree(root: Path, *paths: str, **files: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    for name, content in files.items():
        (root / f".{name}").write_text(content)
    return root


def names(root: Path, *locks: str) -> set[str]:
    found = [entry.path for entry in code(root, IMAGE, locks)]
    assert found[0] == "srv/app"
    return {path.removeprefix("srv/app/") for path in found[1:]}


def test_git_never_comes_along(tmp_path: Path) -> None:
    tree(tmp_path, "main.py", ".git/config", "sub/.git", ".gitignore")

    assert names(tmp_path) == {"main.py", ".gitignore"}


def test_the_lock_stays_out_because_every_bump_changes_it(tmp_path: Path) -> None:
    tree(tmp_path, "main.py", "uv.lock", "deeper/uv.lock", "deeper/requirements.txt")

    assert names(tmp_path, "uv.lock", "deeper/requirements.txt") == {"main.py", "deeper/uv.lock"}


def test_the_lock_can_be_taken_in_again(tmp_path: Path) -> None:
    tree(tmp_path, "main.py", "uv.lock", toplayerignore="!/uv.lock\n")

    assert names(tmp_path, "uv.lock") == {"main.py", "uv.lock", ".toplayerignore"}


def test_our_ignore_file_has_gits_rules(tmp_path: Path) -> None:
    lines = "*.md\n!README.md\n/docs/\nbuild\n# comment\n\n/a/*\n!/a/kept\n"
    tree(tmp_path, "x.md", "d/x.md", "README.md", "docs/x", "d/docs/x", "d/build/x", "a/b", "a/kept", "docs/README.md")
    tree(tmp_path, toplayerignore=lines, dockerignore="*\n")

    assert names(tmp_path) == {"README.md", "d/docs/x", "a/kept", ".toplayerignore", ".dockerignore"}


def test_what_we_ignore_is_what_git_ignores(tmp_path: Path) -> None:
    need("git")
    lines = "*.log\n!keep.log\n/top\ndir/\n**/deep/*.py\n[ab].txt\nx?z\n\\#literal\nsp ace\n*/mid/*\n!/c/mid/k\n"
    paths = [
        *("a.log", "keep.log", "d/keep.log", "d/a.log", "top", "d/top", "dir/x", "d/dir/x", "file/dir", "q/deep/x.py"),
        *("deep/x.py", "q/deep/r/x.py", "a.txt", "c.txt", "d/b.txt", "xyz", "x/z", "#literal", "sp ace", "c/mid/k"),
        *("c/mid/j", "c/d/mid/j"),
    ]
    tree(tmp_path, *paths, toplayerignore=lines, gitignore=lines)
    git = ["git", "-c", "core.excludesFile=/dev/null", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    listed = subprocess.run([*git, "ls-files", "-co", "--exclude-standard", "-z"], check=True, capture_output=True)

    assert names(tmp_path) == set(listed.stdout.decode().split("\0")) - {""}


def test_without_one_dockers_ignore_file_counts_by_dockers_rules(tmp_path: Path) -> None:
    lines = "# comment\n*.md\n!README.md\ndocs\n**/*.tmp\n!docs/kept/x\n  spaced  \n"
    tree(tmp_path, "x.md", "d/x.md", "README.md", "docs/x", "d/docs/x", "d/e/x.tmp", "docs/kept/x", "spaced")
    tree(tmp_path, dockerignore=lines)

    assert names(tmp_path) == {"d/x.md", "README.md", "d/docs/x", "docs/kept/x", ".dockerignore"}


def test_everything_but_one_directory_can_be_said_in_dockers_way(tmp_path: Path) -> None:
    tree(tmp_path, "x", "src/a", "src/b.pyc", "other/y", dockerignore="*\n!src\nsrc/*.pyc\n")

    assert names(tmp_path) == {"src/a"}


def test_links_and_programs_stay_what_they_are(tmp_path: Path) -> None:
    tree(tmp_path, "run.sh")
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "link").symlink_to("run.sh")

    found = {entry.path: entry for entry in code(tmp_path, IMAGE, ())}

    assert found["srv/app/run.sh"].executable
    assert found["srv/app/link"].link == "run.sh"


@pytest.mark.parametrize("name", [".toplayerignore", ".dockerignore"])
def test_an_ignore_file_that_is_no_text_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\xfe")

    with pytest.raises(Exception, match=name):
        list(code(tmp_path, IMAGE, ()))
