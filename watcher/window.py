"""When a bump, or work on a host, may begin: hours of the week, and days on which nothing does.

All by the clock on the wall of a place.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = 24 * 60
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+/-]{1,60}")
_CLOCK = re.compile(r"([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_DATES = re.compile(r"(\d{4}-\d\d-\d\d)(?:\.\.(\d{4}-\d\d-\d\d))?")


@dataclass(frozen=True, slots=True)
class Window:
    """Hours in which something may begin: on `days` (0 is Monday) from minute `start` up to, without it, minute `end`.

    One that ends before it starts reaches into the next day. Where the clock is put forward over its start, it opens
    with the jump; where the clock is put back into it, it is open again, because the clock on the wall says so.
    """

    days: tuple[int, ...]
    start: int
    end: int
    zone: str

    @classmethod
    def parse(cls, text: object) -> "Window":
        """`mon-thu 09:00-16:00 Asia/Seoul`. Without days it is every day, without hours all day, without a zone UTC."""
        words = text.split() if isinstance(text, str) and len(text) < 200 else ()
        days, clock, zone = tuple(range(7)), (0, _DAY), "UTC"
        rest = list(words)
        if rest and (found := _days(rest[0].lower())):
            days = found
            rest.pop(0)
        if rest and (hours := _CLOCK.fullmatch(rest[0])):
            first, last = (int(hours[n]) * 60 + int(hours[n + 1]) for n in (1, 3))
            clock = first, last
            rest.pop(0)
        if rest and _is_zone(rest[0]):
            zone = rest.pop(0)
        if not words or rest or max(clock) > _DAY or clock[0] in (clock[1], _DAY):
            raise ValueError(f'expected a window such as "mon-thu 09:00-16:00 Asia/Seoul", got {str(text)[:80]!r}')
        return cls(days, *clock, zone)

    def __str__(self) -> str:
        days = ",".join(DAYS[day] for day in self.days) if len(self.days) < 7 else "every day"
        return f"{days} {_hours(self.start)}-{_hours(self.end)} {self.zone}"

    def is_open(self, now: datetime) -> bool:
        """Whether something may begin at `now`."""
        local = now.astimezone(_zone(self.zone))
        minute, today = local.hour * 60 + local.minute, local.weekday()
        if self.start < self.end:
            return today in self.days and self.start <= minute < self.end
        begun_today = today in self.days and minute >= self.start
        return begun_today or ((today - 1) % 7 in self.days and minute < self.end)

    def opens_at(self, now: datetime) -> datetime:
        """The first moment from `now` on (UTC) at which it is open."""
        moments = sorted(moment for moment in (now, *self._changes(now)) if moment >= now)
        return next(moment for moment in moments if self.is_open(moment)).astimezone(UTC)

    def _changes(self, now: datetime) -> Iterator[datetime]:
        """Every moment of the next two weeks at which it can open: its starts, midnights, and jumps of the clock."""
        zone = _zone(self.zone)
        today = now.astimezone(zone).date()
        for day in range(-1, 15):
            for minute in (self.start, 0):
                wall = datetime.combine(today + timedelta(days=day), time(minute // 60, minute % 60), zone)
                yield from (wall.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
            midnight = datetime.combine(today + timedelta(days=day), time(), zone).astimezone(UTC)
            yield from _jump(zone, midnight, midnight + timedelta(days=1))


@dataclass(frozen=True, slots=True)
class Freeze:
    """Days on which nothing begins: all of `first`, all of `last`, and all between them."""

    first: date
    last: date
    zone: str

    @classmethod
    def parse(cls, text: object) -> "Freeze":
        """`2026-12-20..2027-01-04 Europe/Berlin`, or one day. Without a zone it is UTC."""
        words = text.split() if isinstance(text, str) and len(text) < 200 else [str(text)] if type(text) is date else []
        dates = _DATES.fullmatch(words[0]) if words else None
        zone = words[1] if len(words) > 1 else "UTC"
        try:
            if dates and len(words) <= 2 and _is_zone(zone):
                first, last = (date.fromisoformat(dates[n] or dates[1]) for n in (1, 2))
                if first <= last and first.year > 1 and last.year < 9998:
                    return cls(first, last, zone)
        except ValueError:
            pass
        raise ValueError(f'expected days such as "2026-12-20..2027-01-04 Europe/Berlin", got {str(text)[:80]!r}')

    def __str__(self) -> str:
        return f"{self.first} to {self.last} {self.zone}" if self.first != self.last else f"{self.first} {self.zone}"

    def thaws_at(self, now: datetime) -> datetime | None:
        """When it is over (UTC), if `now` is in it."""
        zone = _zone(self.zone)
        if not self.first <= now.astimezone(zone).date() <= self.last:
            return None
        return datetime.combine(self.last + timedelta(days=1), time(), zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Wait:
    """Why something may not begin now, and when it may (UTC)."""

    until: datetime
    said: str


def wait(windows: Iterable[Window], freezes: Iterable[Freeze], now: datetime) -> Wait | None:
    """What keeps something from beginning at `now`, or None. Without windows every hour is one."""
    windows, freezes = tuple(windows), tuple(freezes)
    at, said = now, ""
    for _ in range(1 + 2 * len(freezes) + len(windows)):
        frozen = [(until, freeze) for freeze in freezes if (until := freeze.thaws_at(at))]
        if frozen:
            at, freeze = max(frozen, key=lambda one: one[0])
            said = said or f"frozen ({freeze})"
        elif windows and not any(window.is_open(at) for window in windows):
            at = min(window.opens_at(at) for window in windows)
            said = said or f"outside of its windows ({'; '.join(map(str, windows))})"
        else:
            break
    return Wait(at, said) if said else None


def _days(word: str) -> tuple[int, ...]:
    """`mon`, `mon,wed` and `fri-mon`, or nothing for a word that is no days."""
    found: set[int] = set()
    for part in word.split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            return ()
        start, end = DAYS.index(first), DAYS.index(last or first)
        found |= {(start + step) % 7 for step in range((end - start) % 7 + 1)}
    return tuple(sorted(found))


def _hours(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _is_zone(name: str) -> bool:
    try:
        return bool(_ZONE.fullmatch(name) and _zone(name))
    except (ValueError, OSError, KeyError):  # a name that is not there is a KeyError
        return False


def _jump(zone: ZoneInfo, before: datetime, after: datetime) -> Iterator[datetime]:
    """The moment between the two (UTC) at which the clocks are changed, to the second, if they are."""
    old = before.astimezone(zone).utcoffset()
    if old == after.astimezone(zone).utcoffset():
        return
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        before, after = (middle, after) if middle.astimezone(zone).utcoffset() == old else (before, middle)
    yield after.replace(microsecond=0)
