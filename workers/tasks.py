"""One thin Celery task per order, and one for the look. They carry ids, never objects."""

import logging
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from celery import Celery

from watcher.desk import Desk
from watcher.errors import Temporary, ToplayerError
from watcher.inert import inert
from watcher.look import look
from watcher.order import Order
from workers.app import LOOK

Carry = Callable[[Order, str, Desk], object]
P = ParamSpec("P")
log = logging.getLogger("toplayer")


def register(app: Celery, desk: Callable[[], Desk], carry: Carry) -> None:
    """Gives the app its tasks. `desk` is called in the process that runs a task, not before."""
    for order in Order:
        app.task(_told(_task(order, desk, carry), order), name=str(order), shared=False)

    def look_once() -> None:
        look(desk(), time.sleep)

    app.task(_told(look_once, LOOK), name=LOOK, shared=False)


def _task(order: Order, desk: Callable[[], Desk], carry: Carry) -> Callable[[str], None]:
    def task(id: str) -> None:
        carry(order, id, desk())

    return task


def _told(task: Callable[P, None], name: str) -> Callable[P, None]:
    """The task, which says in one line that the ledger or the broker was away. The next look asks for it again."""

    @wraps(task)
    def told(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            task(*args, **kwargs)
        except ToplayerError as error:
            level = logging.WARNING if isinstance(error, Temporary) else logging.ERROR
            log.log(level, "%s: %s", " ".join([name, *map(str, args)]), inert(error.advice))

    return told
