"""requirements.txt moves by real pip-tools at an index on loopback."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.rig.git_server import Origin, git_host
from tests.rig.lock_tools import lock_tool
from tests.rig.sdist import sdist
from tests.rig.simple_index import SimpleIndex
from tests.workers.propose.world import after, changed_lines, move, move_to, release, write
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


def test_what_the_file_tells_pip_stays(index: SimpleIndex, uv: Uv, files: dict[str, str]) -> None:
    said = f"--index-url {index.url}\n--extra-index-url https://index.example/simple\n--trusted-host index.example\n\n"
    head, first, rest = files["requirements.txt"].partition("api==")
    files["requirements.txt"] = f"{head}{said}{first}{rest}"

    made = after(files, "requirements.txt", move_to(index, "side", "1.1"), uv)

    assert said in made
    assert len(changed_lines(files["requirements.txt"], made)) == 4


NOBODY = "import pathlib; pathlib.Path({!r}).touch(); raise SystemExit(1)"


def test_what_is_locked_and_has_no_wheel_is_read_and_not_built(
    index: SimpleIndex, uv: Uv, files: dict[str, str], tmp_path: Path
) -> None:
    trap = {"setup.py": NOBODY.format(str(tmp_path / "built")), "old.egg-info/requires.txt": "core\n\n[x]\nnone-such\n"}
    for version in ("1.0", "1.1"):
        about = f"Metadata-Version: 2.1\nName: old\nVersion: {version}\n"
        index.add("old", f"old-{version}.tar.gz", sdist(f"old-{version}", {**trap, "PKG-INFO": about}))
    digest = release(index, "old", "1.0").files[0].hashes["sha256"]
    row = f"old==1.0 \\\n    --hash=sha256:{digest}\n    # via -r requirements.in\n"
    files["requirements.in"] += "old\n"
    files["requirements.txt"] = files["requirements.txt"].replace("side==", row + "side==")

    made = move(files, "requirements.txt", move_to(index, "side", "1.1"), uv)
    assert [(change.after.package, change.after.version) for change in made.diff.changed] == [("side", "1.1")]

    made = move(files, "requirements.txt", move_to(index, "old", "1.1"), uv)
    changed = changed_lines(files["requirements.txt"], made.files["requirements.txt"])
    assert [line for line in changed if "==" in line] == ["- old==1.0 \\\n", "+ old==1.1 \\\n"]
    assert "+     #   old\n" in changed  # that `core` is there for it, too
    assert not (tmp_path / "built").exists()

    index.publish("new", "1.0", requires=["never-locked"])
    index.add("never-locked", "never-locked-1.0.tar.gz", sdist("never-locked-1.0", {**trap, "PKG-INFO": "Name: x\n"}))
    files["requirements.in"] += "new\n"
    with pytest.raises(LockRefused, match="never-locked"):
        move(files, "requirements.txt", move_to(index, "side", "1.1"), uv)


@pytest.mark.parametrize("names_what_it_needs", [True, False])
def test_a_build_backend_in_git_is_never_run(
    index: SimpleIndex, uv: Uv, files: dict[str, str], tmp_path: Path, names_what_it_needs: bool
) -> None:
    project = (
        '[build-system]\nrequires = []\nbuild-backend = "trap"\nbackend-path = ["."]\n[project]\nname = "gitted"\n'
    )
    project += 'version = "1"\n' + ("" if names_what_it_needs else 'dynamic = ["dependencies"]\n')
    tree = {"pyproject.toml": project, "trap.py": NOBODY.format(str(tmp_path / "built"))}
    commit = Origin(tmp_path / "git" / "gitted.git").write(tree)
    with git_host(tmp_path / "git") as host:
        pin = f"gitted @ git+{host.url}/gitted.git@{commit}\n"
        files["requirements.in"] += pin
        files["requirements.txt"] = files["requirements.txt"].replace("side==", f"{pin}    # via -r x.in\nside==")
        if names_what_it_needs:
            move(files, "requirements.txt", move_to(index, "side", "1.1"), uv)
        else:
            with pytest.raises(LockRefused, match="toplayer builds nothing, and gitted"):
                move(files, "requirements.txt", move_to(index, "side", "1.1"), uv)
    assert not (tmp_path / "built").exists()


def test_what_is_for_the_settings_or_was_of_that_day_does_not_count() -> None:
    words = "--index-url https://index.example/simple --trusted-host index.example --config=x.toml --reuse-hashes a.in"
    made = Compiled(("pip-compile", "--build-isolation", "--no-emit-find-links", *words.split()), "", ("a.in",), ())

    assert argv(made, "a.txt", [])[:6] == [
        *("--index-url", "https://index.example/simple", "--reuse-hashes", "a.in", "--output-file", "a.txt")
    ]


@pytest.mark.parametrize(
    "word",
    [
        "--pip-args=--pre",
        "--cert=x",
        "--find-links=x",
        "--index-url=https://me:secret@index.example/simple",
        "../secret.in",
        "setup.py",
    ],
)
def test_what_could_run_or_read_something_else_is_refused(word: str) -> None:
    with pytest.raises(Unsolved):
        argv(Compiled(("pip-compile", *word.split()), "", (), ()), "requirements.txt", [])
