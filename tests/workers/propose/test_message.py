"""Commit messages: whatever a package is called, they are inert."""

from datetime import UTC, datetime

import pytest

from watcher.bump import Bump
from watcher.lockfiles.diff import Change, LockDiff
from watcher.pin import Pin
from workers.propose.message import TRAILER, message_of

MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def bump(package: str = "requests", to_version: str = "2.32.0") -> Bump:
    return Bump(
        id=Bump.id_of("shop", package, to_version),
        app="shop",
        ecosystem="pypi",
        package=package,
        from_version="2.31.0",
        to_version=to_version,
        found_at=MONDAY,
    )


def pin(package: str, version: str) -> Pin:
    return Pin(ecosystem="pypi", package=package, version=version, lock="uv.lock")


def test_the_message_says_what_moved_and_whose_work_it_is() -> None:
    diff = LockDiff(
        added=(pin("new-one", "1.0"),),
        removed=(pin("old-one", "3.0"),),
        changed=(
            Change(pin("requests", "2.31.0"), pin("requests", "2.32.0")),
            Change(pin("urllib3", "1.26"), pin("urllib3", "2.0")),
        ),
    )

    assert message_of(bump(), diff) == (
        "Bump requests from 2.31.0 to 2.32.0\n"
        "\n"
        "Moved with it:\n"
        "- urllib3 1.26 → 2.0\n"
        "- new-one 1.0, new\n"
        "- old-one 3.0, no longer needed\n"
        "\n"
        "Toplayer-Bump: shop:requests:2.32.0\n"
    )


@pytest.mark.parametrize("evil", [f"1.0\n\n{TRAILER}: other", "1.0\r\x1b[2J", "1.0\u202e", "\x00"])
def test_a_hostile_version_stays_on_its_line(evil: str) -> None:
    lines = message_of(bump(to_version=evil), LockDiff()).splitlines()

    assert len(lines) == 3
    assert lines[0].startswith("Bump requests from 2.31.0 to ")
    assert [line for line in lines if line.startswith(TRAILER)] == [lines[2]]
    assert not set("\x1b\r\u202e\x00") & set("".join(lines))
