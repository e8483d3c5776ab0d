"""Who need not be asked about again already, and who must be."""

import dataclasses
from datetime import timedelta

import pytest

from tests.conftest import MONDAY
from watcher.head import Head
from watcher.lookup import Lookup, Outcome
from watcher.patience import Patience, terms
from watcher.pin import Pin
from watcher.settings import Settings
from watcher.settings.app import AppSettings
from watcher.wishes import PolicySettings

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SETTLED = Lookup(index="pypi", package="alpha", outcome=Outcome.ANSWER, looked_at=MONDAY, newest_at=MONDAY - 300 * DAY)
PATIENT = Patience({"alpha": (3 * DAY, 7 * DAY)})


def spared(known: Lookup = SETTLED, patient: Patience = PATIENT) -> timedelta:
    """For how long its package is spared."""
    until = patient.until(known, MONDAY)
    return until - MONDAY if until is not None else timedelta()


def test_a_release_that_has_to_wait_three_days_is_heard_of_within_one() -> None:
    assert 18 * HOUR <= spared() <= 24 * HOUR


def test_what_has_moved_of_late_is_asked_about_sooner() -> None:
    patient = Patience({"alpha": (3 * DAY, 3 * DAY)})
    moved = dataclasses.replace(SETTLED, newest_at=MONDAY - 4 * DAY)
    assert 0.75 * 4 * DAY / 10 <= spared(moved, patient) <= 4 * DAY / 10


def test_what_was_asked_about_together_is_not_asked_about_together_again() -> None:
    names = [f"p{n}" for n in range(100)]
    patient = Patience(dict.fromkeys(names, (3 * DAY, 3 * DAY)))
    times = [spared(dataclasses.replace(SETTLED, package=name), patient) for name in names]

    def due(hours: int) -> int:
        return sum(time <= hours * HOUR for time in times)

    assert due(18) < 10 < due(20) < 60 < due(23) < 100


def settings(**cooldowns: str) -> Settings:
    """Settings of which only the cooldowns of apps count."""
    policies = {name: PolicySettings.model_validate({"cooldown": cooldown}) for name, cooldown in cooldowns.items()}
    apps = {name: AppSettings.model_construct(policy=policy) for name, policy in policies.items()}  # type: ignore[call-arg]
    return Settings.model_construct(apps=apps)  # type: ignore[call-arg]


def test_of_several_apps_the_shortest_cooldown_counts_and_none_is_none() -> None:
    pin = Pin(ecosystem="pypi", package="alpha", version="1", lock="uv.lock")
    two = settings(shop="0d", blog="9d")
    heads = [Head(app=name, pins=(pin,)) for name in two.apps]

    patient = Patience.read(two, heads, {"alpha"})

    assert patient == Patience({"alpha": (timedelta(), 9 * DAY)})
    assert spared(patient=patient) == timedelta()
    assert Patience.read(two, heads, {"beta"}) == Patience({})


@pytest.mark.parametrize(
    "known",
    [
        dataclasses.replace(SETTLED, outcome=Outcome.UNKNOWN),
        dataclasses.replace(SETTLED, outcome=Outcome.ABSENT),
        dataclasses.replace(SETTLED, newest_at=None),
        dataclasses.replace(SETTLED, newest_at=MONDAY - 6 * DAY),
        dataclasses.replace(SETTLED, package="beta"),
    ],
    ids=["unknown", "absent", "undated", "still cooling", "nobody's"],
)
def test_what_may_matter_soon_is_asked_about_in_every_round(known: Lookup) -> None:
    assert spared(known) == timedelta()


def test_another_policy_is_other_terms() -> None:
    assert terms(settings(shop="1d")) == terms(settings(shop="1d"))
    assert terms(settings(shop="1d")) != terms(settings(shop="2d"))
