"""What `make bench-build` is to show, and whether it does."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

OURS, FIRST, BUMP, CODE = "toplayer", "first", "bump", "code"
USUAL, LINKED = "requirements first", "--link"
_MB = 1_000_000


@dataclass(frozen=True)
class Row:
    """What one build cost. `pulled` are the bytes that a classic host pulls, `lacked` those of a containerd one.

    `changed` are the bytes of the layers that changed, with configuration and manifest, and `again` those that were
    uploaded although the registry had them. `package` is what was bumped; `cold`: by a builder that had nothing.
    """

    who: str
    what: str
    seconds: float
    cpu: float
    uploaded: int
    pulled: int = 0
    lacked: int = 0
    memory: int = 0
    changed: int = 0
    again: int = 0
    package: str = ""
    cold: bool = False


@dataclass(frozen=True)
class Goal:
    """What was to be reached, and what was; None: it was not tried."""

    said: str
    found: str
    reached: bool | None


def goals(rows: Sequence[Row], small: Sequence[str], by_hand: str) -> Iterator[Goal]:
    """Every goal. `small` are the packages that are; `by_hand` is who has split off by hand the one that moves."""
    ours = [row for row in rows if row.who == OURS]
    bumps = [row for row in ours if row.package in small]
    warm, cold = [row for row in bumps if not row.cold], [row for row in bumps if row.cold]
    yield _most("a bump of any small package takes at most 1 s", warm, 1.0)
    yield _most("and at most 3 s by a builder that has nothing", cold, 3.0)
    yield _faster("50 times faster than requirements first", rows, USUAL, 50, cold=False)
    yield _faster("3 times faster than the one split by hand for this package", rows, by_hand, 3, cold=False)
    yield _faster("without anything, 5 times faster than --cache-from, split by hand", rows, by_hand, 5, cold=True)
    again = sum(row.again for row in ours)
    yield Goal("no byte is uploaded that the registry has", f"{again:,} bytes", again == 0)
    yield _pulled("a containerd host pulls the changed layer, configuration and manifest", warm, "lacked")
    peak = max((row.memory for row in ours), default=0)
    yield Goal("at most 300 MB of memory", f"{peak / _MB:.0f} MB", peak <= 300 * _MB)


def _most(said: str, rows: Sequence[Row], limit: float) -> Goal:
    if not rows:
        return Goal(said, "", None)
    worst = max(rows, key=lambda row: row.seconds)
    return Goal(said, f"{worst.seconds:.2f} s ({worst.package})", worst.seconds <= limit)


def _faster(said: str, rows: Sequence[Row], who: str, times: float, *, cold: bool) -> Goal:
    what = [row for row in rows if row.what.startswith(BUMP) and row.cold is cold]
    mine = next((row for row in what if row.who == OURS and row.what.partition(",")[0] == BUMP), None)
    theirs = next((row for row in what if row.who == who), None)
    if mine is None or theirs is None:
        return Goal(said, "", None)
    factor = theirs.seconds / mine.seconds
    return Goal(said, f"{factor:.1f} times", factor >= times)


def _pulled(said: str, rows: Sequence[Row], column: str) -> Goal:
    tried = [(row, getattr(row, column)) for row in rows if getattr(row, column)]
    if not tried:
        return Goal(said, "", None)
    over = {row.package: got - row.changed for row, got in tried if got > row.changed}
    worst = max(over, key=lambda name: over[name], default="")
    return Goal(said, f"{over[worst]:,} bytes more ({worst})" if over else "not a byte more", not over)


def table(found: Sequence[Goal]) -> Iterator[str]:
    """For people, in Markdown."""
    yield "| goal | measured | |"
    yield "| --- | --- | --- |"
    for goal in found:
        word = "not tried" if goal.reached is None else "reached" if goal.reached else "missed"
        yield f"| {goal.said} | {goal.found} | {word} |"
