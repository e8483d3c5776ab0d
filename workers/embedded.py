"""The embedded mode: one process, the look in the main thread and a few threads that run the steps."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from watcher.desk import Desk
from watcher.errors import ToplayerError
from watcher.hurry import hurry
from watcher.ledger import Ledger
from watcher.look import look
from watcher.order import Lane, Order
from watcher.settings import Settings
from watcher.unfinished import unfinished

log = logging.getLogger("toplayer")
Carry = Callable[[Order, str, Desk], object]
AWAKE = 0.25
"""Seconds between two looks while something is in motion and says nothing, such as a health proof."""


class Threads:
    """Orders that travel to the next thread, of which each lane has so many. `carry` is the function that every order
    goes through."""

    def __init__(self, carry: Carry, workers: int) -> None:
        self._carry = carry
        self._pools = {lane: ThreadPoolExecutor(workers, thread_name_prefix=f"toplayer-{lane}") for lane in Lane}
        self._changed = threading.Event()
        self._lock = threading.Lock()
        self._busy = 0
        self.desk: Desk | None = None

    def send(self, order: Order, id: str, lane: Lane = Lane.HERE) -> None:
        with self._lock:
            self._busy += 1
        self._pools[lane].submit(self._run, order, id)

    def nudge(self) -> None:
        self._changed.set()

    def wait(self, seconds: float) -> None:
        """Returns when something has changed, or after `seconds`."""
        self._changed.wait(seconds)
        self._changed.clear()

    @property
    def is_idle(self) -> bool:
        """Whether no step is running or waiting for a thread."""
        with self._lock:
            return self._busy == 0

    def close(self) -> None:
        """Lets the running steps finish and takes no new ones."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        for pool in self._pools.values():
            pool.shutdown(wait=True)

    def _run(self, order: Order, id: str) -> None:
        assert self.desk is not None
        try:
            self._carry(order, id, self.desk)
        finally:
            with self._lock:
                self._busy -= 1
            self._changed.set()


def open_desk(
    settings: Settings, ledger: Ledger, carry: Carry, clock: Callable[[], datetime], fresh: bool = False
) -> tuple[Desk, Threads]:
    """A desk whose orders go to threads of this process. Close the threads when done.

    `fresh`: a person wants a round now, so what is asked or tried every now and then is asked and tried once more.
    """
    if fresh:
        hurry(settings, ledger, clock())
    threads = Threads(carry, settings.toplayer.workers)
    threads.desk = Desk(settings, ledger, clock, threads, clock() if fresh else None)
    return threads.desk, threads


def run_until_idle(desk: Desk, threads: Threads, patience: timedelta, tell: Callable[[str], None]) -> None:
    """Looks, and looks again, until nothing is in motion that comes to an end within `patience` of waiting.

    What waits for a person (a branch to be merged), for an offline host or for a later hour does not count.
    """
    quiet_since = desk.clock()
    while True:
        # Asked before the look: what a step has written since then, the look has not seen.
        was_idle = threads.is_idle
        result = look(desk, time.sleep)
        now = desk.clock()
        left = unfinished(desk.settings, desk.ledger, now, patience)
        if left:
            tell(left[0])
        if result is None or result.sent or result.turned or not was_idle:
            quiet_since = now
        elif not left or now - quiet_since > patience:
            return
        threads.wait(AWAKE)


def serve(desk: Desk, threads: Threads, stop: threading.Event) -> None:
    """Looks until `stop` is set: at once when something has changed, else at the configured interval."""
    while not stop.is_set():
        try:
            look(desk, time.sleep)
        except ToplayerError as error:
            log.error("look: %s", error.advice)
        threads.wait(desk.settings.toplayer.look.total_seconds())
