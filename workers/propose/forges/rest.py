"""A forge that limits us limits whoever has the same credentials: one app is told, and the others do not ask."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from watcher.settings import ForgeSettings
from workers.propose.forges.errors import ForgeUnreachable

_until: dict[tuple[str, str], datetime] = {}


@contextlib.contextmanager
def rested(settings: ForgeSettings, clock: Callable[[], datetime]) -> Iterator[None]:
    """Raises `ForgeUnreachable` while the forge wants to be left alone, as far as this process has heard of it."""
    mine = settings.address, settings.app.id if settings.app else str(settings.token)
    left = (_until[mine] - clock()).total_seconds() if mine in _until else 0.0
    if left > 0:
        raise ForgeUnreachable(settings.address, "it wants to be left alone for a while", left)
    try:
        yield
    except ForgeUnreachable as error:
        if error.retry_after is not None:
            _until[mine] = clock() + timedelta(seconds=error.retry_after)
        raise
