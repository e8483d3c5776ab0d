"""pdm.lock moves by real PDM at an index on loopback."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.rig.lock_tools import lock_tool
from tests.rig.sdist import sdist
from tests.rig.simple_index import SimpleIndex
from tests.workers.propose.world import after, behind_a_password, changed_lines, move, move_to, release, write
from watcher.release import Release
from watcher.requirement import Raise
from workers.propose.bench import Unsolved
from workers.propose.errors import LockRefused
from workers.propose.move import Move
from workers.propose.pdm_lock import pinned
from workers.propose.uv import Uv

MANIFEST = """\
[project]
name = "shop"
version = "1.0"
requires-python = ">=3.10"
dependencies = [
    "api>=1,<3", # why
]

[dependency-groups]
dev = ["side"]

[tool.pdm]
distribution = false

[tool.pdm.options]
lock = ["-G", ":all", "--no-cross-platform"]

[tool.pdm.scripts]
pre_lock = "touch pwned"

[[tool.pdm.source]]
name = "pypi"
url = "{url}"
"""


@pytest.fixture
def files(index: SimpleIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A checkout with a pdm.lock as a person made it on that day; then `side` 1.1 and `core` 2.0 came out."""
    monkeypatch.setenv("PATH", f"{lock_tool('pdm')}{os.pathsep}{os.environ['PATH']}")
    desk = tmp_path / "desk"
    write(desk, {"pyproject.toml": MANIFEST.format(url=index.url)})
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PDM_USE_VENV": "0", "PDM_CHECK_UPDATE": "0"}
    done = subprocess.run(["pdm", "lock", "-k", ":all"], cwd=desk, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    index.publish("core", "2.0")
    index.publish("side", "1.1")
    index.publish("side", "1.2")
    return {name: (desk / name).read_text() for name in ("pyproject.toml", "pdm.lock")}


@pytest.mark.journey
def test_a_lock_moves_by_the_least_and_what_it_needs_moves_with_it(
    index: SimpleIndex, uv: Uv, files: dict[str, str]
) -> None:
    index.add("side", "side-1.1.tar.gz", b"a source distribution, which nobody unpacks")

    wish = move_to(index, "side", "1.1")

    made = after(files, "pdm.lock", wish, behind_a_password(index, uv))

    assert "s3cret" not in made

    changed = changed_lines(files["pdm.lock"], made)
    assert [line for line in changed if "version" in line] == ['- version = "1.0"\n', '+ version = "1.1"\n']
    assert [line.split('"')[1] for line in changed if "file =" in line] == [
        "side-1.0-py3-none-any.whl",
        "side-1.1-py3-none-any.whl",
        "side-1.1.tar.gz",
    ]
    assert len(changed) == 5

    index.authorization = ""
    both = move(files, "pdm.lock", move_to(index, "api", "2.0"), uv)
    assert [(c.after.package, c.after.version) for c in both.diff.changed] == [("api", "2.0"), ("core", "2.0")]
    assert set(both.files) == {"pdm.lock"}


@pytest.mark.journey
def test_what_is_locked_and_has_no_wheel_is_read_and_not_built(
    index: SimpleIndex, uv: Uv, files: dict[str, str], tmp_path: Path
) -> None:
    trap = f"import pathlib; pathlib.Path({str(tmp_path / 'built')!r}).touch(); raise SystemExit(1)"
    old = {"setup.py": trap, "PKG-INFO": "Metadata-Version: 2.1\nName: old\nVersion: 1.0\n"}
    index.add("old", "old-1.0.tar.gz", sdist("old-1.0", old | {"old.egg-info/requires.txt": "core\n"}))
    files["pyproject.toml"] = files["pyproject.toml"].replace('"api>=1,<3",', '"api>=1,<3", "old",')
    row = f'{{file = "old-1.0.tar.gz", hash = "sha256:{release(index, "old", "1.0").files[0].hashes["sha256"]}"}}'
    mine = (
        f'[[package]]\nname = "old"\nversion = "1.0"\nsummary = ""\ngroups = ["default"]\nfiles = [\n    {row},\n]\n\n'
    )
    head, tail = files["pdm.lock"].split('[[package]]\nname = "side"')
    mine = mine.replace("groups", 'dependencies = [\n    "core",\n]\ngroups')
    files["pdm.lock"] = f'{head}{mine}[[package]]\nname = "side"{tail}'

    changed = changed_lines(files["pdm.lock"], after(files, "pdm.lock", move_to(index, "side", "1.1"), uv))

    assert [line for line in changed if "version" in line] == ['- version = "1.0"\n', '+ version = "1.1"\n']
    assert not (tmp_path / "built").exists()


@pytest.mark.exhaustive
@pytest.mark.journey
def test_a_requirement_that_forbids_the_release_is_told_or_raised_as_the_policy_says(
    index: SimpleIndex, uv: Uv, files: dict[str, str]
) -> None:
    files = {name: text.replace("\n", "\r\n") for name, text in files.items()}

    with pytest.raises(LockRefused, match="asks for api >=1,<3"):
        move(files, "pdm.lock", move_to(index, "api", "3.0"), uv)

    wish = Move(package="api", version="3.0", release=release(index, "api", "3.0"), requirement=Raise.WIDEN)
    made = move(files, "pdm.lock", wish, uv)
    assert changed_lines(files["pyproject.toml"], made.files["pyproject.toml"]) == [
        '-     "api>=1,<3", # why\r\n',
        '+     "api>=1,<4", # why\r\n',
    ]
    assert [pin.package for pin in made.diff.added] == ["extra-thing"]
    assert made.files["pdm.lock"].count("\n") == made.files["pdm.lock"].count("\r\n")


@pytest.mark.parametrize(
    "words",
    ['"--lockfile", "/x"', '"--lockfile=/x"', '"-L", "x"', '"-p", "/"', '"--override=x"', '"-G"', '"-d=1"', '"-C=x"'],
)
def test_a_project_that_tells_pdm_where_to_write_is_refused(uv: Uv, words: str) -> None:
    manifest = f'[project]\nname = "a"\nversion = "1"\n[tool.pdm.options]\nlock = ["--dev", {words}]\n'
    lock = '[metadata]\nlock_version = "4.5.1"\n[[package]]\nname = "side"\nversion = "1.0"\n'
    wish = Move(package="side", version="1.1", release=Release(package="side", version="1.1"))

    with pytest.raises(LockRefused, match="which toplayer does not do"):
        move({"pyproject.toml": manifest, "pdm.lock": lock}, "pdm.lock", wish, uv)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('[project]\nname = "a"\n', '[project]\ndependencies = ["side==1.1"]\nname = "a"\n'),
        ("[project]\ndependencies = []\n[x]\n", '[project]\ndependencies = ["side==1.1", ]\n[x]\n'),
        (
            '[ project ] # x\r\ndependencies = [\r\n"a"]\r\n',
            '[ project ] # x\r\ndependencies = ["side==1.1", \r\n"a"]\r\n',
        ),
    ],
)
def test_the_copy_asks_for_the_version(text: str, wanted: str) -> None:
    wish = Move(package="side", version="1.1", release=Release(package="side", version="1.1"))

    assert pinned(text, "pyproject.toml", [wish]) == wanted


@pytest.mark.parametrize("text", ["[tool.x]\n", '[project]\ndynamic = ["dependencies"]\n', "project = {name='a'}\n"])
def test_a_manifest_that_leaves_open_what_it_asks_for_is_refused(text: str) -> None:
    wish = Move(package="side", version="1.1", release=Release(package="side", version="1.1"))

    with pytest.raises(Unsolved):
        pinned(text, "pyproject.toml", [wish])
