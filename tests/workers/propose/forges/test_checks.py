"""Which checks of a commit count, and what they come to."""

import pytest

from watcher.proposal import Checks
from workers.propose.forges.checks import Check, Required, verdict

GREEN, RED = Checks.GREEN, Checks.RED


def test_without_any_check_there_is_nothing_to_say() -> None:
    assert verdict([], []) is Checks.NONE


def test_two_checks_of_one_name_have_to_be_green_both() -> None:
    assert verdict([Check("test", GREEN), Check("test", RED)], [Required("test")]) is RED


@pytest.mark.parametrize(("app", "expected"), [(7, GREEN), (0, GREEN), (8, Checks.RUNNING)])
def test_a_check_that_has_to_come_from_one_app_does_not_come_from_another(app: int, expected: Checks) -> None:
    assert verdict([Check("test", GREEN, app)], [Required("test", 7)]) is expected


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("ci / *", "ci / test (push)", True),
        ("ci*", "ci/a/b", True),
        ("ci / test", "ci / tests", False),
        ("[odd", "[odd", True),
    ],
)
def test_a_pattern_stands_for_every_check_that_fits(pattern: str, name: str, fits: bool) -> None:
    required = [Required(pattern, is_pattern=True)]
    assert verdict([Check(name, RED), Check("other", GREEN)], required) is (RED if fits else Checks.RUNNING)


def test_a_name_that_looks_like_a_pattern_is_a_name() -> None:
    assert verdict([Check("test [3]", GREEN)], [Required("test [3]")]) is GREEN
    assert verdict([Check("test 3", GREEN)], [Required("test [3]")]) is Checks.RUNNING
