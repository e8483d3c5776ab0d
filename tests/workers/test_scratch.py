"""Directories to work in: each to its own, and gone afterwards, also when somebody was killed."""

from pathlib import Path

import pytest

from tests.rig.death import changes_files, dies_at
from workers.scratch import scratch


def use(parent: Path) -> None:
    with scratch(parent) as mine:
        (mine / "work").mkdir()
        (mine / "work" / "file").write_text("half-done")


def left(parent: Path) -> list[str]:
    return [path.name for path in parent.iterdir()]


def test_everybody_has_a_directory_of_their_own_and_leaves_nothing(tmp_path: Path) -> None:
    with scratch(tmp_path / "s") as one, scratch(tmp_path / "s") as two:
        (one / "file").touch()
        assert one != two
        assert [path.name for path in two.iterdir()] == ["lock"]

    assert left(tmp_path / "s") == ["lock"]


def test_nothing_is_left_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), scratch(tmp_path / "s"):
        raise ZeroDivisionError

    assert left(tmp_path / "s") == ["lock"]


def test_what_a_killed_process_left_is_taken_away_and_what_is_in_use_is_not(tmp_path: Path) -> None:
    count, killed = 0, True
    with scratch(tmp_path / "s") as mine:
        (mine / "file").touch()
        while killed:
            count += 1
            killed = dies_at(count, changes_files, lambda: use(tmp_path / "s"))
            use(tmp_path / "s")
            assert sorted(left(tmp_path / "s")) == sorted(["lock", mine.name])
        assert (mine / "file").exists()

    assert count > 5
