"""Celery's pool of threads, and a bell in it."""

import contextlib
import os
from typing import Any

from celery.concurrency.thread import TaskPool


class Threads(TaskPool):  # type: ignore[misc]
    """Threads that ring when one of them is free again.

    A worker that has as many messages as threads takes no further one, and its loop sleeps. Of processes it hears that
    one is done, of threads it does not: it looked once a second, and each thread did one order a second, however short
    that was (Celery 5.6, `celery.worker.loops.asynloop`).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._heard, self._bell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def register_with_event_loop(self, hub: Any) -> None:
        """Called by the worker's loop whenever it begins, also after it has lost its broker."""
        hub.add_reader(self._heard, self._hear)

    def on_apply(self, *args: Any, **kwargs: Any) -> Any:
        """See `TaskPool`. By the time that a thread rings, its message has been acknowledged."""
        applied = super().on_apply(*args, **kwargs)
        applied.f.add_done_callback(self._ring)
        return applied

    def _ring(self, _: object) -> None:
        # If nobody has listened to 65,536 of them, one more says nothing new.
        with contextlib.suppress(BlockingIOError):
            os.write(self._bell, b".")

    def _hear(self, *_: object) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._heard, 65_536)
