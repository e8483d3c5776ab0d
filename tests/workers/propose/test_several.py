"""A package that a lock has in several versions, for several platforms: one of them moves, and the others stay."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.rig.simple_index import SimpleIndex
from tests.workers.propose.world import by_a_person, changed_lines, checkout, move, move_to, write
from watcher.requirement import Raise
from workers.propose.errors import LockRefused
from workers.propose.uv import Uv

PROJECT = """\
[project]
name = "shop"
version = "1.0"
requires-python = ">=3.9"
dependencies = ["num<2 ; python_version < '3.11'", "num>=2,<3 ; python_version >= '3.11'", "side"]
"""
WANTED = "num<2 ; python_version < '3.11'\nnum>=2 ; python_version >= '3.11'\nside\n"
BY_HAND = "num==1.0 ; python_version < '3.11'  # old\nnum==2.0 ; python_version >= '3.11'\nside==1.0\n"


@pytest.fixture
def several(index: SimpleIndex, tmp_path: Path) -> dict[str, str]:
    """A checkout in which `num` is locked twice, in three ways; and since then there are newer ones of both."""
    for version in ("1.0", "2.0"):
        index.publish("num", version)
    desk = tmp_path / "desk"
    write(desk, {"pyproject.toml": PROJECT, "requirements.in": WANTED, "by-hand.txt": BY_HAND})
    by_a_person(desk, index, "lock")
    by_a_person(
        desk,
        index,
        "pip",
        "compile",
        "requirements.in",
        "-o",
        "requirements.txt",
        "-q",
        "--universal",
        "--python-version",
        "3.9",
    )
    for version in ("1.1", "1.2", "2.1", "2.2", "3.1"):
        index.publish("num", version)
    return checkout(desk)


@pytest.mark.parametrize("path", ["uv.lock", "requirements.txt", "by-hand.txt"])
@pytest.mark.parametrize(("before", "after"), [("1.0", "1.1"), ("2.0", "2.1")])
def test_the_one_that_is_meant_moves_and_the_other_stays(
    several: dict[str, str], index: SimpleIndex, uv: Uv, path: str, before: str, after: str
) -> None:
    wish = replace(move_to(index, "num", after), from_version=before)

    made = move(several, path, wish, uv)

    assert set(made.files) == {path}
    assert [(one.before.version, one.after.version) for one in made.diff.changed] == [(before, after)]
    for line in changed_lines(several[path], made.files[path]):
        assert (before if line.startswith("-") else after) in line


def test_only_the_requirement_that_is_about_it_is_raised(several: dict[str, str], index: SimpleIndex, uv: Uv) -> None:
    wish = replace(move_to(index, "num", "3.1"), from_version="2.0")
    with pytest.raises(LockRefused, match="asks for num >=2,<3"):
        move(several, "uv.lock", wish, uv)

    made = move(several, "uv.lock", replace(wish, requirement=Raise.WIDEN), uv)

    assert made.files["pyproject.toml"] == PROJECT.replace(">=2,<3", ">=2,<4")
    assert [(one.before.version, one.after.version) for one in made.diff.changed] == [("2.0", "3.1")]
