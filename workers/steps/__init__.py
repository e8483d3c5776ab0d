"""Where the rooms are wired to the orders: each order's entry, when it is due, and the room that does it."""

from importlib import import_module
from typing import Any

from watcher.desk import Desk
from watcher.order import Order
from workers.carry import Step, carry_out

__all__ = ["carry", "step"]


def step(order: Order) -> Step[Any]:
    """How an order is carried out: `workers.steps.poll.POLL`, and so on.

    Imported when it is first needed. Whoever only looks needs neither Docker nor what builds an image, and those take
    longer to import than a look takes.
    """
    found: Step[Any] = getattr(import_module(f"{__name__}.{order}"), order.upper())
    return found


def carry(order: Order, id: str, desk: Desk) -> bool:
    """Carries out an order, whichever it is."""
    return carry_out(order, id, desk, step(order))
