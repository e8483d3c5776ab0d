"""Posting a notice: the door to the receivers."""

from collections.abc import Callable

from watcher.errors import IndexUnreachable
from watcher.http import Http, Limits, Request
from workers.notify.delivery import Delivery
from workers.notify.tell import ReceiverRefused, ReceiverUnreachable

LIMITS = Limits(deadline=20.0, stall=15.0, attempts=1, largest=1_000_000)
"""One attempt: the outbox tries again, and waits longer each time."""


def poster(http: Http, receiver: str) -> Callable[[Delivery], None]:
    """Posts deliveries to `receiver`. What it says is told without its address, which may be a secret.

    Standard Webhooks: only 2xx is success, 410 and its like mean that the address is gone.
    """

    def post(delivery: Delivery) -> None:
        request = Request(delivery.url, delivery.headers, "POST", delivery.body)
        try:
            answer = http.one(request)
        except IndexUnreachable as error:
            raise ReceiverUnreachable(
                receiver, error.why.replace(delivery.url, "its address"), error.retry_after
            ) from None
        if not 200 <= answer.status < 300:
            raise ReceiverRefused(receiver, f"HTTP {answer.status}")

    return post
