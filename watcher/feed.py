"""How far the feed of changes of an index was read: with each lookup, or once for all of them.

A feed tells of a thousand packages in one request that nothing is new. After a round in which it was read as far for
all that are watched, that stands once, with the index, and goes on there: a quiet round writes one row, and not a
thousand. It is good for the lookups that were made in that round and for no others, so nobody has to take it back: a
lookup that is made by itself has another hour.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from watcher.ledger import Ledger
from watcher.lookup import IndexState, Lookup, Outcome, Trace, Unchanged
from watcher.program import program


def told(state: IndexState, ledger: Ledger) -> list[Trace]:
    """The lookups that the index's mark is good for, with it."""
    if state.told is None:
        return []
    mine = {"index": state.index, "looked_at": state.told_from, "program": program()}
    rows = ledger.rows(Lookup, "package", "files", **mine)
    return [Trace(package, state.told_at, files, state.told) for package, files in rows]


def traces(state: IndexState, packages: Collection[str], ledger: Ledger) -> list[Trace]:
    """The lookups of these packages, with their own marks."""
    rows = ledger.rows(Lookup, *Trace._fields, index=state.index)
    return [Trace(*row) for row in rows if row[0] in packages]


def quiet(state: IndexState, said: Unchanged, now: datetime) -> IndexState:
    """The index's state after a round in which the feed has `said` of all packages that nothing is new."""
    polled = replace(state, polled_at=now, answered_at=now, packages=len(said.packages), unknown=0, unknown_since=None)
    return replace(polled, told=said.mark, told_at=now, reason="", attempts=0, due_at=None)


def hand_down(state: IndexState, packages: Collection[str], ledger: Ledger) -> None:
    """Writes the index's mark into lookups that it is good for, where they go on by themselves."""
    values = {"looked_at": state.told_at, "answered_at": state.told_at, "feed": state.told}
    ledger.set(Lookup, values, field="package", of=packages, index=state.index, looked_at=state.told_from)


def write_down(state: IndexState, said: Unchanged, now: datetime, ledger: Ledger) -> None:
    """Writes into the lookups what the feed has `said` of their packages."""
    values = {"looked_at": now, "answered_at": now, "feed": said.mark}
    ledger.set(Lookup, values, field="package", of=said.packages, index=state.index)


def after(polled: IndexState, said: Unchanged | None, found: Sequence[Lookup], now: datetime) -> IndexState:
    """The state of an index that was `polled`: the feed has `said` this, and the others were looked up and `found` so.

    It has a mark if the feed was read as far for all of its packages.
    """
    if said is None or len(said.packages) + len(found) < polled.packages or not all(_is_as_far(o, said) for o in found):
        return replace(polled, told=None, told_from=None, told_at=None)
    return replace(polled, told=said.mark, told_from=now, told_at=now)


def _is_as_far(lookup: Lookup, said: Unchanged) -> bool:
    mark, theirs = lookup.feed, said.mark
    if mark is None or lookup.outcome is Outcome.UNKNOWN:
        return False
    return mark == replace(theirs, cursor=mark.cursor) and mark.cursor >= theirs.cursor


def seen(lookup: Lookup, state: IndexState | None) -> Lookup:
    """The lookup, with the hour at which its index was asked last of all."""
    if state is None or state.told is None or lookup.looked_at != state.told_from:
        return lookup
    return replace(lookup, looked_at=state.told_at, answered_at=state.told_at)
