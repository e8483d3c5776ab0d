"""Branches: whatever a package is called, they are valid, inert, and never the same twice."""

import subprocess
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.branch import branch_of, claimed
from watcher.bump import Bump

HOSTILE = ["..", ".", "a.lock", "a..b", "-x", "@{", "a b", "a\nb", "$(id)", "~^:?*[\\", "/", "a/b", "", "é", "a" * 300]


def test_an_ordinary_package_has_an_ordinary_branch() -> None:
    assert branch_of("shop", "zope.interface") == "toplayer/shop/zope.interface"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_makes_a_valid_branch(name: str) -> None:
    ref = f"refs/heads/{branch_of('shop', name)}"

    assert subprocess.run(["git", "check-ref-format", ref]).returncode == 0


@given(st.lists(st.text(max_size=12), unique=True, max_size=8))
def test_two_packages_never_share_a_branch(names: list[str]) -> None:
    assert len({branch_of("shop", name) for name in [*HOSTILE, *names]}) == len({*HOSTILE, *names})


def test_an_open_bump_claims_the_branch_that_it_has_or_will_have(now: datetime) -> None:
    found = Bump(
        id="shop:side:1.1",
        app="shop",
        ecosystem="pypi",
        package="side",
        from_version="1.0",
        to_version="1.1",
        found_at=now,
    )
    assert "toplayer/shop/side" in claimed([found])
    assert "toplayer/shop/web+group" in claimed([replace(found, group="web")])
    assert {"toplayer/shop/side", "toplayer/shop/older"} <= claimed([replace(found, branch="toplayer/shop/older")])
