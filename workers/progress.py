"""Tells the ledger how far a pull is, now and then, for whoever watches."""

import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta

from watcher.errors import ToplayerError
from watcher.ledger import Ledger
from watcher.transfers import Transfer

EVERY = timedelta(seconds=3)


class Progress:
    """Hears how many bytes have travelled to one host, and writes it down every few seconds until the block ends."""

    def __init__(self, ledger: Ledger, host: str, clock: Callable[[], datetime], began: bool = False) -> None:
        """`host` is the host's name in its rollout; `began`: something was written down of this pull before."""
        self._ledger, self._host, self._clock, self._began = ledger, host, clock, began
        self.goes_on = False
        """Whether the bytes still travel when the block ends, so that what was written down stays."""
        self._last: datetime | None = None

    def __enter__(self) -> "Progress":
        return self

    def __call__(self, gone: int, known: int) -> None:
        now = self._clock()
        if self._last is not None and now - self._last < EVERY:
            return
        self._last = now
        # It is there to be watched: no pull ends because nobody could write it down.
        with contextlib.suppress(ToplayerError):
            self._ledger.moved(self._host, Transfer(gone, known, now))

    def __exit__(self, *_: object) -> None:
        if (self._began or self._last is not None) and not self.goes_on:
            with contextlib.suppress(ToplayerError):
                self._ledger.moved(self._host, None)
