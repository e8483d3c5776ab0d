"""poetry.lock moves by real Poetry at an index on loopback."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.rig.lock_tools import lock_tool
from tests.rig.simple_index import SimpleIndex
from tests.workers.propose.world import after, changed_lines, move, move_to, write
from watcher.lockfiles import read
from workers.propose.errors import LockRefused
from workers.propose.uv import Uv

MANIFEST = """\
[project]
name = "shop"
version = "1.0"
requires-python = ">=3.10"
dependencies = ["api (>=1,<3)"]

[tool.poetry]
package-mode = false

[[tool.poetry.source]]
name = "main"
url = "{url}/"
priority = "primary"

[tool.poetry.group.dev.dependencies]
side = "^1.0"
"""


pytestmark = pytest.mark.journey


@pytest.fixture
def files(index: SimpleIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A checkout with a poetry.lock as a person made it on that day; then `side` 1.1 and `core` 2.0 came out."""
    monkeypatch.setenv("PATH", f"{lock_tool('poetry')}{os.pathsep}{os.environ['PATH']}")
    desk = tmp_path / "desk"
    write(desk, {"pyproject.toml": MANIFEST.format(url=index.url)})
    files = locked(desk)
    index.publish("core", "2.0")
    index.publish("side", "1.1")
    index.publish("side", "1.2")
    return files


def locked(desk: Path) -> dict[str, str]:
    env = {"PATH": os.environ["PATH"], "HOME": str(desk), "POETRY_VIRTUALENVS_CREATE": "false"}
    done = subprocess.run(["poetry", "lock", "-n"], cwd=desk, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {name: (desk / name).read_text() for name in ("pyproject.toml", "poetry.lock")}


@pytest.mark.exhaustive
def test_the_package_moves_to_the_version_that_is_asked_for_and_no_other_line_does(
    index: SimpleIndex, uv: Uv, files: dict[str, str]
) -> None:
    made = after(files, "poetry.lock", move_to(index, "side", "1.1"), uv)

    changed = changed_lines(files["poetry.lock"], made)
    assert [line for line in changed if "version" in line] == ['- version = "1.0"\n', '+ version = "1.1"\n']
    assert len(changed) == 4


def test_what_it_needs_moves_with_it(index: SimpleIndex, uv: Uv, files: dict[str, str]) -> None:
    made = move(files, "poetry.lock", move_to(index, "api", "2.0"), uv)

    moved = [(change.after.package, change.after.version) for change in made.diff.changed]
    assert moved == [("api", "2.0"), ("core", "2.0")]


def test_a_requirement_that_forbids_the_release_is_told(index: SimpleIndex, uv: Uv, files: dict[str, str]) -> None:
    with pytest.raises(LockRefused, match="api"):
        move(files, "poetry.lock", move_to(index, "api", "3.0"), uv)


def test_its_pins_know_who_asks_for_them_where_they_are_from_and_what_they_are(
    index: SimpleIndex, files: dict[str, str]
) -> None:
    pins = {pin.package: pin for pin in read("poetry.lock", lambda path: files[path].encode())}

    assert {name: (pin.version, pin.direct, pin.constraint) for name, pin in pins.items()} == {
        "api": ("1.1", True, "<3,>=1"),
        "core": ("1.0", False, ""),
        "side": ("1.0", True, "<2,>=1.0"),
    }
    assert {pin.registry for pin in pins.values()} == {index.url}
    assert all(len(pin.hashes) == 1 for pin in pins.values())


@pytest.mark.exhaustive
@pytest.mark.parametrize(("before", "to"), [("1.0", "1.1"), ("2.0", "2.1")])
def test_of_a_package_in_two_versions_one_moves_and_the_other_stays(
    index: SimpleIndex, uv: Uv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, to: str
) -> None:
    monkeypatch.setenv("PATH", f"{lock_tool('poetry')}{os.pathsep}{os.environ['PATH']}")
    for version in ("1.0", "2.0"):
        index.publish("num", version)
    twice = "[\"num (<2) ; python_version < '3.12'\", \"num (>=2) ; python_version >= '3.12'\"]"
    desk = tmp_path / "desk"
    write(desk, {"pyproject.toml": MANIFEST.format(url=index.url).replace('["api (>=1,<3)"]', twice)})
    files = locked(desk)
    for version in ("1.1", "1.2", "2.1", "2.2"):
        index.publish("num", version)

    made = move(files, "poetry.lock", replace(move_to(index, "num", to), from_version=before), uv)

    assert [(one.before.version, one.after.version) for one in made.diff.changed] == [(before, to)]
