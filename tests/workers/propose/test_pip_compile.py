"""requirements.txt moves by real pip-tools at an index on loopback."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.rig.lock_tools import lock_tool
from tests.rig.simple_index import SimpleIndex
from tests.workers.propose.world import after, changed_lines, move, move_to, write
from watcher.lockfiles.compiled import Compiled
from workers.propose.bench import Unsolved
from workers.propose.errors import LockRefused
from workers.propose.pip_compile import argv
from workers.propose.uv import Uv

pytestmark = pytest.mark.journey


@pytest.fixture
def files(index: SimpleIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A checkout with a file that a person compiled on that day; then `side` 1.1 and 1.2 came out."""
    monkeypatch.setenv("PATH", f"{lock_tool('pip-tools')}{os.pathsep}{os.environ['PATH']}")
    desk = tmp_path / "desk"
    write(desk, {"requirements.in": "api<2\nside\n"})
    words = [
        "pip-compile",
        "--generate-hashes",
        "--no-emit-index-url",
        "--no-emit-trusted-host",
        "-q",
        "requirements.in",
    ]
    env = {"PATH": os.environ["PATH"], "HOME": str(desk), "PIP_INDEX_URL": index.url, "PIP_CONFIG_FILE": "/dev/null"}
    done = subprocess.run(words, cwd=desk, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    index.publish("side", "1.1")
    index.publish("side", "1.2")
    return {name: (desk / name).read_text() for name in ("requirements.in", "requirements.txt")}


def test_the_package_moves_to_the_version_that_is_asked_for_and_no_other_line_does(
    index: SimpleIndex, uv: Uv, files: dict[str, str]
) -> None:
    index.add("side", "side-1.1.tar.gz", b"a source distribution, which nobody unpacks")

    made = after(files, "requirements.txt", move_to(index, "side", "1.1"), uv)

    changed = changed_lines(files["requirements.txt"], made)
    assert [line for line in changed if "==" in line] == ["- side==1.0 \\\n", "+ side==1.1 \\\n"]
    assert len([line for line in changed if "sha256:" in line]) == 3
    assert len(changed) == 5


def test_an_input_that_forbids_the_release_is_told(index: SimpleIndex, uv: Uv, files: dict[str, str]) -> None:
    with pytest.raises(LockRefused, match="api"):
        move(files, "requirements.txt", move_to(index, "api", "2.0"), uv)


@pytest.mark.parametrize(
    "word",
    [
        "--pip-args=--pre",
        "--build-isolation",
        "--find-links=x",
        "--config=x.toml",
        "../secret.in",
        "setup.py",
        "-i http://x",
    ],
)
def test_what_could_run_or_read_something_else_is_refused(word: str) -> None:
    with pytest.raises(Unsolved):
        argv(Compiled(("pip-compile", *word.split()), "", (), ()), "requirements.txt", [])
