"""How often something changes: by what was seen, by what is usual, and by what a policy lets in."""

from datetime import UTC, datetime, timedelta

import pytest

from watcher.layers.past import steps
from watcher.layers.rate import CODE_PRIOR, PACKAGE_PRIOR, rate
from watcher.layers.rates import COMES_ALONG, package_rate
from watcher.lookup import Lookup
from watcher.pin import Pin
from watcher.policy import Cooldown, Policy, Watch
from watcher.release import File, Release

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
PIN = Pin(ecosystem="pypi", package="core", version="1.0", lock="uv.lock")
EAGER = Policy(cooldown=Cooldown(timedelta(0), timedelta(0), timedelta(0)))


def lookup(*releases: tuple[str, int], yanked: str = "") -> Lookup:
    """Versions, and how many days ago they came out."""
    made = [
        Release(
            package="core",
            version=version,
            files=(
                File(
                    filename=f"core-{version}-py3-none-any.whl",
                    url="x",
                    uploaded_at=NOW - ago * DAY,
                    yanked="bad" if version == yanked else None,
                ),
            ),
        )
        for version, ago in releases
    ]
    return Lookup(index="pypi", package="core", releases=made)


def taken(policy: Policy, *releases: tuple[str, int], pin: Pin = PIN, yanked: str = "") -> list[tuple[str, int]]:
    found = steps(pin, lookup(*releases, yanked=yanked), policy)
    return [(step.release.version, (NOW - step.at).days) for step in found]


def test_a_weekly_rhythm_is_found() -> None:
    weekly = [NOW - 7 * n * DAY for n in range(150)]

    assert rate(weekly, NOW - 1050 * DAY, NOW) == pytest.approx(1 / 7, rel=0.1)


def test_what_was_published_yesterday_for_the_first_time_is_no_daily_package() -> None:
    found = rate([NOW - DAY], NOW - DAY, NOW)

    assert found < 3 * PACKAGE_PRIOR.changes / PACKAGE_PRIOR.days


def test_what_has_been_silent_for_years_is_colder_than_what_nobody_knows() -> None:
    silent = rate([NOW - 2000 * DAY], NOW - 2000 * DAY, NOW)

    assert silent < PACKAGE_PRIOR.changes / PACKAGE_PRIOR.days / 4


def test_the_last_half_year_counts_more_than_the_years_before() -> None:
    woken = [NOW - n * DAY for n in range(0, 90, 3)]
    asleep = [NOW - (1000 + n) * DAY for n in range(0, 90, 3)]

    assert rate(woken, NOW - 1100 * DAY, NOW) > 5 * rate(asleep, NOW - 1100 * DAY, NOW)


def test_code_is_taken_to_change_more_often_than_packages() -> None:
    assert rate([], NOW, NOW, CODE_PRIOR) > 10 * rate([], NOW, NOW)


def test_releases_come_in_after_their_cooldown() -> None:
    policy = Policy(cooldown=Cooldown(patch=DAY, minor=3 * DAY, major=30 * DAY))

    assert taken(policy, ("1.0", 90), ("1.0.1", 80), ("1.1", 70), ("2.0", 60)) == [
        ("1.0", 90),
        ("1.0.1", 79),
        ("1.1", 67),
        ("2.0", 30),
    ]


def test_what_a_policy_does_not_let_in_is_no_change() -> None:
    all_of_them = (("1.0", 90), ("1.0.1", 80), ("1.1a1", 75), ("1.1", 70), ("2.0", 60), ("1.1.1", 50))

    assert [version for version, _ in taken(EAGER, *all_of_them)] == ["1.0", "1.0.1", "1.1", "2.0"]
    patches = Policy(allow="patch", cooldown=EAGER.cooldown)
    assert [version for version, _ in taken(patches, *all_of_them)] == ["1.0", "1.0.1"]
    below_two = Pin(ecosystem="pypi", package="core", version="1.0", lock="uv.lock", constraint="<2")
    assert [v for v, _ in taken(EAGER, *all_of_them, pin=below_two)] == ["1.0", "1.0.1", "1.1", "1.1.1"]
    assert "1.1" not in [version for version, _ in taken(EAGER, *all_of_them, yanked="1.1")]
    assert taken(Policy(watch=Watch.NONE), *all_of_them) == []


def test_a_package_that_policy_never_moves_has_the_rate_zero() -> None:
    releases = lookup(("1.0", 90), ("1.1", 10))

    assert package_rate(PIN, releases, Policy(watch=Watch.NONE), NOW) == 0
    assert package_rate(PIN, releases, EAGER, NOW) > 0


def test_what_only_comes_along_comes_along_less_often() -> None:
    releases = lookup(("1.0", 90), ("1.1", 10))
    indirect = Pin(ecosystem="pypi", package="core", version="1.0", lock="uv.lock", direct=False)

    alone = package_rate(PIN, releases, EAGER, NOW)
    assert package_rate(indirect, releases, EAGER, NOW) == pytest.approx(alone * COMES_ALONG)
