"""Renewing what is held, all from one thread: to begin and end one for each lease takes longer than to take it."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator

log = logging.getLogger("toplayer")
_IDLE = 20.0
"""Seconds without anything that is held, after which the thread ends."""


class Renewals:
    """Calls what renews, again and again, for as long as its block lasts. Safe to share between threads, and not with a
    process that is forked off."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: dict[Callable[[], None], float] = {}
        self._every: dict[Callable[[], None], float] = {}
        self._thread: threading.Thread | None = None
        self._called: Callable[[], None] | None = None
        self._wakes_at = 0.0

    @contextlib.contextmanager
    def going_on(self, renew: Callable[[], None], every: float) -> Iterator[None]:
        """Within the block and never after it, `renew` is called after each `every` seconds; one call at a time,
        whatever else is held."""
        try:
            with self._changed:
                self._every[renew], self._due[renew] = every, time.monotonic() + every
                if self._thread is None:
                    thread = threading.Thread(target=self._run, name="renewals", daemon=True)
                    thread.start()
                    self._thread = thread
                elif self._due[renew] < self._wakes_at:
                    self._changed.notify_all()
            yield
        finally:
            with self._changed:
                del self._every[renew], self._due[renew]
                self._changed.wait_for(lambda: self._called is not renew)

    def _run(self) -> None:
        while renew := self._waited_for():
            try:
                renew()
            except Exception:
                log.exception("what is held could not be renewed")
            with self._changed:
                self._called = None
                self._changed.notify_all()

    def _waited_for(self) -> Callable[[], None] | None:
        """The first one whose time has come, once there is one. None if nothing has been held for long."""
        with self._changed:
            idle_since = time.monotonic()
            while True:
                now = time.monotonic()
                idle_since = now if self._due else idle_since
                first = min(self._due, key=self._due.__getitem__, default=None)
                self._wakes_at = idle_since + _IDLE if first is None else self._due[first]
                if self._wakes_at > now:
                    self._changed.wait(self._wakes_at - now)
                elif first is None:
                    self._thread = None
                    return None
                else:
                    self._due[first], self._called = now + self._every[first], first
                    return first
