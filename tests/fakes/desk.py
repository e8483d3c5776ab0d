"""A post whose letters nobody gets."""

from watcher.order import Order


class Nobody:
    """See `watcher.desk.Post`."""

    def send(self, order: Order, id: str) -> None:
        return

    def nudge(self) -> None:
        return
