"""Waves: how many hosts may have been touched before the next proof is asked for."""

import math
from collections.abc import Sequence

Share = int | str


def share(text: Share) -> int | float:
    """`3` hosts, or `"25%"` of them as 0.25. A `ValueError` says what was expected."""
    if isinstance(text, int) and not isinstance(text, bool):
        if text < 1:
            raise ValueError("expected at least 1 host")
        return text
    number = str(text).removesuffix("%")
    try:
        percent = float(number) if str(text).endswith("%") else math.nan
    except ValueError:
        percent = math.nan
    if not 0 < percent <= 100:
        raise ValueError(f'expected a number of hosts or a share such as "25%", got {text!r}')
    return percent / 100


def plan_waves(shares: Sequence[Share], hosts: int) -> tuple[int, ...]:
    """How many hosts in all may be touched once each wave is open, strictly increasing, ending with all of them.

    Shares are rounded up, so a canary of "1%" is one host of ten. `[1, "25%"]` of 8 hosts is `(1, 2, 8)`: what the
    list does not say is the last wave.
    """
    counts: list[int] = []
    for wave in (*shares, "100%"):
        size = share(wave)
        count = min(size if isinstance(size, int) else math.ceil(size * hosts), hosts)
        if count > (counts[-1] if counts else 0):
            counts.append(count)
    return tuple(counts)
