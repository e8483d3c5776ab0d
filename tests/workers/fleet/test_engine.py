"""Engines of all ages."""

import pytest
from docker.constants import DEFAULT_DOCKER_API_VERSION

from workers.fleet.engine import common_version


@pytest.mark.parametrize(
    ("oldest", "newest", "spoken"),
    [
        ("1.12", "1.41", "1.41"),
        ("1.24", "1.9", "1.24"),
        ("1.44", "1.99", DEFAULT_DOCKER_API_VERSION),
        ("1.98", "1.99", "1.98"),
    ],
)
def test_the_newest_version_that_both_sides_know_is_spoken(oldest: str, newest: str, spoken: str) -> None:
    assert common_version(oldest, newest) == spoken
