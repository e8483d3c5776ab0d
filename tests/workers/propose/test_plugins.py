"""Which of Composer's plugins a project runs, and which of them have a say in its lock."""

from typing import Any

import pytest

from workers.propose.plugins import allowed, with_a_say

LOCK = {
    "packages": [
        {"name": "symfony/flex", "type": "composer-plugin"},
        {"name": "acme/Tool", "type": "composer-plugin"},
        {"name": "acme/library", "type": "library"},
    ],
    "packages-dev": [{"name": "acme/dev", "type": "composer-plugin"}],
}


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ({}, ("acme/dev", "acme/tool", "symfony/flex")),
        ({"allow-plugins": True}, ("acme/dev", "acme/tool", "symfony/flex")),
        ({"allow-plugins": False}, ()),
        ({"allow-plugins": {"acme/*": True, "symfony/flex": False}}, ("acme/dev", "acme/tool")),
        ({"allow-plugins": {"acme/dev": False, "acme/*": True}}, ("acme/tool",)),
    ],
)
def test_a_plugin_is_run_if_the_project_allows_it(config: dict[str, Any], names: tuple[str, ...]) -> None:
    assert allowed(LOCK, {"config": config}) == names


def test_one_that_the_project_does_not_allow_has_no_say() -> None:
    extra = {"symfony": {"require": "7.*"}}

    assert "symfony/flex has a say" in with_a_say(LOCK, {"extra": extra}, ["symfony/http"])
    assert with_a_say(LOCK, {"extra": extra}, ["acme/library"]) == ""
    assert with_a_say(LOCK, {"extra": extra, "config": {"allow-plugins": False}}, ["symfony/http"]) == ""


@pytest.mark.parametrize("lock", [{}, {"packages": None}, {"packages": ["x"], "packages-dev": 3}])
def test_a_lock_without_packages_has_no_plugins(lock: dict[str, Any]) -> None:
    assert allowed(lock, {"config": [], "extra": 5}) == ()
