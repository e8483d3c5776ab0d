"""A post whose letters nobody gets."""

from watcher.order import Lane, Order


class Nobody:
    """See `watcher.desk.Post`."""

    def send(self, order: Order, id: str, lane: Lane = Lane.HERE) -> None:
        return

    def nudge(self) -> None:
        return
