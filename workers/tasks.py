"""One thin Celery task per order, and one for the look. They carry ids, never objects."""

from collections.abc import Callable

from celery import Celery

from watcher.desk import Desk
from watcher.look import look
from watcher.order import Order
from workers.app import LOOK

Carry = Callable[[Order, str, Desk], object]


def register(app: Celery, desk: Callable[[], Desk], carry: Carry) -> None:
    """Gives the app its tasks. `desk` is called in the process that runs a task, not before."""
    for order in Order:
        app.task(_task(order, desk, carry), name=str(order))

    def look_once() -> None:
        look(desk())

    app.task(look_once, name=LOOK)


def _task(order: Order, desk: Callable[[], Desk], carry: Carry) -> Callable[[str], None]:
    def task(id: str) -> None:
        carry(order, id, desk())

    return task
