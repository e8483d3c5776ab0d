"""When to try again: later and later, and never all at the same moment."""

import zlib
from datetime import datetime, timedelta

FIRST = timedelta(seconds=2)
LONGEST = timedelta(minutes=15)
REFUSED_AGAIN = timedelta(minutes=5)
"""When to try again what a person has to mend: nobody tells us when that is done."""
_SPREAD = 0.25


def retry_at(name: str, attempts: int, now: datetime, asked: float | None = None) -> datetime:
    """The time (UTC) of the next attempt after `attempts` failures in a row: 2 s, 4 s, 8 s … at most 15 minutes.

    A quarter is added or taken by `name`, so that a thousand hosts that fail together do not come back together; by
    name and not by chance, so that the same ledger gives the same plan. `asked` (seconds) is what the other side said
    in Retry-After: it is honoured up to one day.
    """
    if asked is not None:
        return now + timedelta(seconds=min(max(asked, 0.0), 86_400.0))
    wait = min(FIRST * (1 << min(attempts, 20)), LONGEST)
    return now + wait * (1 - _SPREAD + 2 * _SPREAD * share(name, attempts))


def share(*of: object) -> float:
    """From 0 to 1, by name and not by luck: what was started together does not go on together for ever."""
    return zlib.crc32("/".join(map(str, of)).encode()) / 0xFFFFFFFF
