"""Where the rooms are wired to the orders: each order's entry, when it is due, and the room that does it."""

from typing import Any

from watcher.desk import Desk
from watcher.order import Order
from workers.carry import Step, carry_out
from workers.steps.build import BUILD
from workers.steps.inspect import INSPECT
from workers.steps.poll import POLL
from workers.steps.propose import PROPOSE
from workers.steps.roll import ROLL
from workers.steps.survey import SURVEY
from workers.steps.tell import TELL
from workers.steps.tend import TEND

__all__ = ["STEPS", "carry"]

STEPS: dict[Order, Step[Any]] = {
    Order.SURVEY: SURVEY,
    Order.POLL: POLL,
    Order.PROPOSE: PROPOSE,
    Order.TEND: TEND,
    Order.BUILD: BUILD,
    Order.ROLL: ROLL,
    Order.INSPECT: INSPECT,
    Order.TELL: TELL,
}


def carry(order: Order, id: str, desk: Desk) -> bool:
    """Carries out an order, whichever it is."""
    return carry_out(order, id, desk, STEPS[order])
