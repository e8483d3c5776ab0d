"""Carrying out an order: lease, read, ask whether it is still due, do the one step, write what came of it.

Every order goes through here, in both modes. A message that arrives twice finds the lease taken or the step no longer
due; a process that dies in the middle leaves the entry as it was, and the next look sends the order again.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from watcher.desk import Desk
from watcher.entry import Entry
from watcher.errors import Overtaken, Refused, Temporary
from watcher.inert import inert
from watcher.order import Order
from workers import sentry

E = TypeVar("E", bound=Entry)
log = logging.getLogger("toplayer")


class Unforeseen(Temporary):
    """A fault of toplayer itself. It goes to the log and to Sentry whole, and into the ledger as one line."""

    def __init__(self, kind: str, said: str) -> None:
        self.kind, self.said = kind, said
        super().__init__(kind, said)

    def __str__(self) -> str:
        return f"an error of toplayer itself: {self.kind}: {self.said}"


@dataclass(frozen=True, slots=True)
class Step(Generic[E]):
    """How one kind of order is carried out: `read` its entry by id, ask whether it is `due`, `do` it.

    `do` returns the entry as it stands after the step, and raises `Temporary` or `Refused` if there is none. What
    `goes_on` asks again after each step whether there is one more that is due, and does it under the same lease: a
    host's whole way is one message then, and not one for each step.
    """

    read: Callable[[Desk, str], E | None]
    due: Callable[[Desk, E, datetime], bool]
    do: Callable[[Desk, E], E]
    goes_on: bool = False


def carry_out(order: Order, id: str, desk: Desk, step: Step[E]) -> bool:
    """Does the step if it is due and nobody else is at it; tells whether it was done (well or badly)."""
    with desk.ledger.lease(f"{order}:{id}", desk.clock) as mine:
        if not mine:
            return False
        entry = step.read(desk, id)
        if entry is None or not step.due(desk, entry, desk.clock()):
            return False
        after = _written(order, entry, desk, step)
        while step.goes_on and after is not None and after != entry and step.due(desk, after, desk.clock()):
            entry, after = after, _written(order, after, desk, step)
    desk.post.nudge()
    return True


def _written(order: Order, entry: E, desk: Desk, step: Step[E]) -> E | None:
    """The entry after its step, as it now stands in the ledger; None if somebody else has written meanwhile."""
    after = _done(order, entry, desk, step)
    try:
        return desk.ledger.replace(entry, after, desk.clock())
    except Overtaken as error:
        # The entry moved on while we worked, by a person's order for instance. The next look sees both.
        log.info("%s %s: %s", order, entry.name, error)
        return None


def _done(order: Order, entry: E, desk: Desk, step: Step[E]) -> E:
    try:
        return step.do(desk, entry)
    except Temporary as error:
        log.warning("%s %s: %s", order, entry.name, inert(str(error)))
        return entry.again(desk.clock(), error)
    except Refused as error:
        log.error("%s %s: %s", order, entry.name, inert(str(error)))
        return entry.refused(desk.clock(), error)
    except Exception as error:
        log.exception("%s %s", order, entry.name)
        sentry.report(error, str(order), entry.name)
        return entry.again(desk.clock(), Unforeseen(type(error).__name__, str(error)))
