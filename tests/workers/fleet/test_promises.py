"""The promises of a rollout, kept through whatever happens. `make promises` lives a few thousand lives more."""

import os

import pytest

from tests.workers.fleet.life import live

LIVES = int(os.environ.get("TOPLAYER_LIVES", "40"))
FIRST = int(os.environ.get("TOPLAYER_FIRST_LIFE", "0"))


@pytest.mark.parametrize("part", range(20))
def test_whatever_happens_the_promises_are_kept_and_the_fleet_converges(part: int) -> None:
    for seed in range(FIRST + part, FIRST + LIVES, 20):
        live(seed)
