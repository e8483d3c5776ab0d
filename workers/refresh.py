"""Everything asked now, for a person who waits for the answers."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from watcher.desk import Desk
from watcher.lookup import IndexState
from watcher.order import Order
from watcher.watchlist import Watchlist
from workers.steps.poll import POLL

Carry = Callable[[Order, str, Desk], bool]
_PATIENCE = 10.0
"""Seconds for another process that is asking the same."""
_AT_ONCE = 16


def ask_all(desk: Desk, carry: Carry, tell: Callable[[str], None]) -> list[str]:
    """Polls all indexes at once, and then all sources of advisories: what these may be asked about depends on who has
    the packages. The names of those that another process was asking for longer than anybody would wait."""
    busy: list[str] = []
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="refresh") as pool:

        def ask(names: Sequence[str]) -> None:
            tell(f"asking {', '.join(names)}")
            asked = pool.map(lambda name: _asked(name, desk, carry), names)
            busy.extend(name for name, done in zip(names, asked, strict=True) if not done)

        names: Sequence[str] = list(desk.settings.indexes)
        # Who stands behind another one has its turn when that does not have a package.
        for _ in desk.settings.indexes:
            ask(names)
            watched = Watchlist.read(desk.settings, desk.ledger)
            names = [name for name in desk.settings.indexes if watched.is_unseen(name) and name not in busy]
            if not names:
                break
        if desk.settings.advisories:
            ask(list(desk.settings.advisories))
    return sorted(set(busy))


def _asked(name: str, desk: Desk, carry: Carry) -> bool:
    """Polls one of them, after whoever is at it; False if that takes too long."""
    desk.ledger.add(IndexState(index=name), desk.clock())
    until = time.monotonic() + _PATIENCE
    while not carry(Order.POLL, name, desk):
        state = desk.ledger.find(IndexState, index=name)
        if state is None or not POLL.due(desk, state, desk.clock()):
            return True
        if time.monotonic() > until:
            return False
        time.sleep(0.25)
    return True
