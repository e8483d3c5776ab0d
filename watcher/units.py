"""Sizes, spans of time and lists, for people."""

import re
from collections.abc import Collection
from itertools import islice


def size(value: float) -> str:
    """Bytes in powers of ten, three digits: `511 kB`, `2.67 MB`."""
    for unit in ("B", "kB", "MB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"


def span(seconds: float) -> str:
    """Seconds in the unit that fits, three digits: `0.52 s`, `46 min`, `3.1 h`."""
    for limit, one, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / one:.3g} {unit}"
    return f"{seconds / 86_400:.3g} days"


def listed(names: Collection[str]) -> str:
    """Names in a row: the first few, and how many more."""
    return ", ".join(islice(names, _SHOWN)) + (f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else "")


_SHOWN = 8


def brief(text: str) -> str:
    """A text whose digests are as short as people read them."""
    return _DIGESTS.sub(r"\1", text)


_DIGESTS = re.compile(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}")
