"""A forge that limits us limits whoever has the same credentials: one app is told, and the others do not ask."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from watcher.settings import ForgeSettings
from workers.propose.forges.errors import ForgeUnreachable


class Rests(Protocol):
    """Who wants to be left alone until when, for all processes to see. The ledger is one."""

    def rest(self, name: str, until: datetime) -> None:
        """Notes that `name` wants to be left alone until then."""
        ...

    def rests(self, name: str) -> datetime | None:
        """Until when `name` wants to be left alone, if anybody has noted it."""
        ...


@dataclass(frozen=True, slots=True)
class Patience:
    """What it takes to leave a forge alone: a memory, and a clock."""

    memory: Rests
    clock: Callable[[], datetime]

    @contextlib.contextmanager
    def towards(self, settings: ForgeSettings) -> Iterator[None]:
        """Raises `ForgeUnreachable` while the forge wants to be left alone, whoever it told so."""
        mine = f"{settings.address} {settings.app.id if settings.app else settings.token}"
        until, now = self.memory.rests(mine), self.clock()
        if until is not None and until > now:
            left = (until - now).total_seconds()
            raise ForgeUnreachable(settings.address, "it wants to be left alone for a while", left)
        try:
            yield
        except ForgeUnreachable as error:
            if error.retry_after is not None:
                self.memory.rest(mine, self.clock() + timedelta(seconds=error.retry_after))
            raise
