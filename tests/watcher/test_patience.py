"""Who need not be asked about again already, and who must be."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.conftest import MONDAY
from watcher.lookup import Glance, Outcome
from watcher.patience import Patience
from watcher.program import program

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SETTLED = Glance(
    package="alpha",
    outcome=Outcome.ANSWER,
    reason="",
    program=program(),
    looked_at=MONDAY,
    answered_at=MONDAY,
    changed_at=MONDAY - 30 * DAY,
    newest_at=MONDAY - 30 * DAY,
    due_at=None,
    throttled=False,
)
PATIENT = Patience({"alpha": (3 * DAY, 7 * DAY)}, {"alpha": MONDAY - HOUR}, frozenset())


def test_a_release_that_has_to_wait_three_days_is_heard_of_within_six_hours() -> None:
    assert PATIENT.spares(SETTLED, MONDAY + 2 * HOUR)
    assert not PATIENT.spares(SETTLED, MONDAY + 6 * HOUR)


def test_what_was_asked_about_together_is_not_asked_about_together_again() -> None:
    names = [f"p{n}" for n in range(100)]
    patient = Patience(dict.fromkeys(names, (3 * DAY, 3 * DAY)), dict.fromkeys(names, MONDAY - HOUR), frozenset())

    def due(after: timedelta) -> int:
        return sum(not patient.spares(SETTLED._replace(package=name), MONDAY + after) for name in names)

    assert due(3 * HOUR) < 10 < due(4 * HOUR) < 60 < due(5 * HOUR) < 90


def test_of_several_apps_the_shortest_cooldown_counts_and_none_is_none() -> None:
    patient = replace(PATIENT, cooldowns={"alpha": (timedelta(), 3 * DAY)})
    assert not patient.spares(SETTLED, MONDAY + timedelta(seconds=1))


@pytest.mark.parametrize(
    "known",
    [
        SETTLED._replace(outcome=Outcome.UNKNOWN),
        SETTLED._replace(outcome=Outcome.ABSENT),
        SETTLED._replace(looked_at=None),
        SETTLED._replace(program="another one"),
        SETTLED._replace(newest_at=None),
        SETTLED._replace(newest_at=MONDAY - 6 * DAY),
        SETTLED._replace(package="beta"),
    ],
    ids=["unknown", "absent", "never asked", "read by another program", "undated", "still cooling", "nobody's"],
)
def test_what_may_matter_soon_is_asked_about_in_every_round(known: Glance) -> None:
    assert not PATIENT.spares(known, MONDAY + HOUR / 4)


def test_a_package_that_moves_or_was_decided_about_since_is_asked_about_in_every_round() -> None:
    assert not replace(PATIENT, moving=frozenset({"alpha"})).spares(SETTLED, MONDAY + HOUR)
    assert not replace(PATIENT, decided={"alpha": MONDAY}).spares(SETTLED, MONDAY + HOUR)
    assert not replace(PATIENT, decided={}).spares(SETTLED, MONDAY + HOUR)
