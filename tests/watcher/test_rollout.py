"""A host's state, and what a refusal makes of it."""

from datetime import datetime

import pytest

from watcher.errors import Refused
from watcher.rollout import HostStage, HostState

AFTER_A_REFUSAL = {
    HostStage.CALLED: HostStage.RETURNED,
    HostStage.FETCHED: HostStage.RETURNED,
    HostStage.SWAPPING: HostStage.FAILED,
    HostStage.PROVING: HostStage.FAILED,
    HostStage.RECALLED: HostStage.STUCK,
    HostStage.FAILED: HostStage.STUCK,
    HostStage.RETURNING: HostStage.STUCK,
}


@pytest.mark.parametrize(("before", "after"), AFTER_A_REFUSAL.items())
def test_only_a_host_that_was_touched_has_to_be_put_back(now: datetime, before: HostStage, after: HostStage) -> None:
    """What it ran may not be known before: to go back to the unknown would be to stop it."""
    state = HostState(rollout="shop:1", host="h1", position=0).at(before, now)
    refused = state.refused(now, Refused("the disk is full"))
    assert (refused.stage, refused.reason) == (after, "the disk is full")
