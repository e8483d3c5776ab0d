"""When a bump may begin, by the clock on a wall."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watcher.window import Freeze, Window, wait

MINUTE = timedelta(minutes=1)


def at(text: str, zone: str = "UTC", fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


def open_minutes(window: Window, since: datetime, minutes: int) -> list[datetime]:
    return [since + n * MINUTE for n in range(minutes) if window.is_open(since + n * MINUTE)]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mon-thu 09:00-16:00 Asia/Seoul", "mon,tue,wed,thu 09:00-16:00 Asia/Seoul"),
        ("Mon,Wed 22:00-06:00", "mon,wed 22:00-06:00 UTC"),
        ("fri-mon", "mon,fri,sat,sun 00:00-24:00 UTC"),
        ("09:30-24:00", "every day 09:30-24:00 UTC"),
        ("Europe/Berlin", "every day 00:00-24:00 Europe/Berlin"),
    ],
)
def test_a_window_is_written_as_people_say_it(text: str, shown: str) -> None:
    assert str(Window.parse(text)) == shown


@pytest.mark.parametrize(
    "text",
    [
        *("", "monday", "mon 9-16", "mon 09:00-09:00", "mon 24:00-06:00", "mon 09:00-24:01", "mon 09:00-16:00 Mars"),
        *("mon 09:00-16:00 UTC again", "09:00-16:00 mon", "mon-", "../etc/passwd", "x" * 300, None, 5, ["mon"]),
    ],
)
def test_a_window_that_nobody_understands_is_refused_with_an_example(text: object) -> None:
    with pytest.raises(ValueError, match="expected a window such as"):
        Window.parse(text)


def test_a_window_is_open_in_its_hours_on_its_days() -> None:
    window = Window.parse("mon-thu 09:00-16:00 Asia/Seoul")

    opened = [at("2026-11-02T09:00", "Asia/Seoul"), at("2026-11-05T15:59", "Asia/Seoul")]
    closed = [at("2026-11-02T08:59", "Asia/Seoul"), at("2026-11-05T16:00", "Asia/Seoul"), at("2026-11-06T10:00")]

    assert all(map(window.is_open, opened))
    assert not any(map(window.is_open, closed))
    assert window.opens_at(closed[1]) == at("2026-11-09T09:00", "Asia/Seoul")
    assert window.opens_at(opened[0]) == opened[0]


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_starts() -> None:
    window = Window.parse("fri 22:00-06:00")

    assert window.is_open(at("2026-11-06T23:00"))
    assert window.is_open(at("2026-11-07T05:59"))
    assert not window.is_open(at("2026-11-06T05:00"))
    assert not window.is_open(at("2026-11-07T22:00"))


def test_where_the_clock_jumps_over_the_start_the_window_opens_with_the_jump() -> None:
    window = Window.parse("02:30-04:00 Europe/Berlin")  # on 2026-03-29 the clock goes from 02:00 to 03:00

    assert window.opens_at(at("2026-03-29T00:30")) == at("2026-03-29T01:00")
    assert len(open_minutes(window, at("2026-03-29T00:00"), 180)) == 60


def test_a_window_that_falls_into_the_hour_that_is_skipped_waits_for_the_next_day() -> None:
    window = Window.parse("02:15-02:45 Europe/Berlin")

    assert window.opens_at(at("2026-03-29T00:00")) == at("2026-03-30T02:15", "Europe/Berlin")


def test_an_hour_that_comes_twice_is_open_twice() -> None:
    window = Window.parse("01:00-02:30 Europe/Berlin")  # on 2026-10-25 the clock goes from 03:00 to 02:00

    assert len(open_minutes(window, at("2026-10-24T22:00"), 300)) == 120
    between = at("2026-10-25T02:45", "Europe/Berlin", fold=0)
    assert not window.is_open(between)
    assert window.opens_at(between) == at("2026-10-25T02:00", "Europe/Berlin", fold=1)


_zones = st.sampled_from(
    [
        *("UTC", "Europe/Berlin", "America/New_York", "Asia/Seoul", "Australia/Lord_Howe", "Asia/Kathmandu"),
        *("America/Santiago", "Africa/Cairo", "Pacific/Apia"),
    ]
)
_clock = st.integers(0, 23 * 60 + 59)


@settings(max_examples=120, deadline=None)
@given(
    st.lists(st.integers(0, 6), min_size=1, unique=True).map(lambda days: tuple(sorted(days))),
    _clock,
    _clock,
    _zones,
    st.integers(0, 366 * 1440),
)
def test_a_window_opens_at_the_first_minute_at_which_it_is_open(
    days: tuple[int, ...], start: int, end: int, zone: str, minute: int
) -> None:
    window = Window(days, start, end if end != start else (end + 1) % 1440, zone)
    now = at("2026-01-01") + minute * MINUTE

    opens = window.opens_at(now)

    assert opens >= now
    assert window.is_open(opens)
    before = opens - MINUTE
    assert before < now or not window.is_open(before)
    # Nothing before it: looked at every quarter of an hour, and around the shortest windows every minute.
    step = 15 if (end - start) % 1440 > 15 else 1
    assert not any(window.is_open(now + n * MINUTE) for n in range(0, int((opens - now) / MINUTE), step))


def test_a_freeze_lasts_from_the_first_morning_to_the_last_midnight_of_its_place() -> None:
    freeze = Freeze.parse("2026-12-20..2027-01-04 Europe/Berlin")

    assert freeze.thaws_at(at("2026-12-19T23:59", "Europe/Berlin")) is None
    assert freeze.thaws_at(at("2026-12-20T00:00", "Europe/Berlin")) == at("2027-01-05T00:00", "Europe/Berlin")
    assert freeze.thaws_at(at("2027-01-05T00:00", "Europe/Berlin")) is None
    assert str(Freeze.parse("2026-12-24")) == "2026-12-24 UTC"
    assert Freeze.parse(date(2026, 12, 24)) == Freeze.parse("2026-12-24")


@pytest.mark.parametrize(
    "text",
    [
        *("", "tomorrow", "2026-12-20..", "2026-13-01", "2027-01-04..2026-12-20", "2026-12-20 Mars", None, 20261220),
        *("2026-12-20..2027-01-04 UTC UTC", "9999-12-31", at("2026-12-20")),
    ],
)
def test_a_freeze_that_nobody_understands_is_refused_with_an_example(text: object) -> None:
    with pytest.raises(ValueError, match="expected days such as"):
        Freeze.parse(text)


def test_without_windows_and_freezes_nothing_waits(now: datetime) -> None:
    assert wait((), (), now) is None


def test_what_waits_says_why_and_until_when() -> None:
    windows = [Window.parse("mon-thu 09:00-16:00"), Window.parse("sat 10:00-11:00")]
    freezes = [Freeze.parse("2026-11-07"), Freeze.parse("2026-11-08..2026-11-09")]
    friday = at("2026-11-06T12:00")

    open_now = wait(windows, freezes, at("2026-11-05T12:00"))
    after_all = wait(windows, freezes, friday)
    frozen = wait((), freezes, at("2026-11-07T12:00"))

    assert open_now is None
    assert after_all is not None
    assert after_all.until == at("2026-11-10T09:00")
    assert after_all.said.startswith("outside of its windows (mon,tue,wed,thu 09:00-16:00 UTC; sat 10:00-11:00")
    assert frozen is not None
    assert (frozen.until, frozen.said) == (at("2026-11-10T00:00"), "frozen (2026-11-07 UTC)")
