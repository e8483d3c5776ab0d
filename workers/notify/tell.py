"""Telling one receiver what it has not heard yet. A dead one delays nothing and loses nothing: its cursor waits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from watcher.errors import Refused, Temporary
from watcher.event import Event
from watcher.receiver import Receiver
from watcher.secret import Secret
from watcher.settings import NotifySettings
from workers.notify import slack, webhook
from workers.notify.delivery import Delivery


class ReceiverUnreachable(Temporary):
    """The receiver did not take a notice, and may later."""

    def __init__(self, receiver: str, why: str, retry_after: float | None = None) -> None:
        self.receiver, self.why, self.retry_after = receiver, why, retry_after
        super().__init__(receiver, why, retry_after)

    def __str__(self) -> str:
        return f"{self.receiver} did not take a notice: {self.why}"


class ReceiverRefused(Refused):
    """The receiver says no: the address is gone, or the secret is not one."""

    hint = "mend the address under [notify] and restart; nothing is lost until then"

    def __init__(self, receiver: str, why: str) -> None:
        self.receiver, self.why = receiver, why
        super().__init__(receiver, why)

    def __str__(self) -> str:
        return f"{self.receiver} refuses notices: {self.why}"


@dataclass(frozen=True, slots=True)
class Channel:
    """How one receiver is spoken to: how many events at most, and what they become."""

    batch: int
    deliveries: Callable[[Sequence[Event], datetime], list[Delivery]]


def channel(name: str, settings: NotifySettings) -> Channel:
    """The channel of a receiver by its name in the outbox. `ReceiverRefused` if its secret cannot be read."""
    try:
        if name == "slack" and settings.slack is not None:
            url = settings.slack.url.reveal()
            return Channel(slack.BATCH, lambda events, _now: slack.deliveries(url, events))
        hook = settings.webhooks[name.removeprefix("webhook:")]
        address = hook.url.reveal() if isinstance(hook.url, Secret) else hook.url
        secret = hook.secret.reveal() if hook.secret else ""
        if secret:
            webhook.key_of(secret)
        return Channel(webhook.BATCH, lambda events, now: webhook.deliveries(address, secret, events, now))
    except (LookupError, ValueError) as error:
        raise ReceiverRefused(name, str(error)) from None


def tell(
    receiver: Receiver,
    to: Channel,
    events: Sequence[Event],
    post: Callable[[Delivery], None],
    clock: Callable[[], datetime],
) -> Receiver:
    """The receiver after the events (its next ones, oldest first) were posted, or as many of them as it took."""
    for delivery in to.deliveries(events, clock()):
        try:
            post(delivery)
        except Temporary as error:
            return receiver.again(clock(), error)
        except Refused as error:
            return receiver.refused(clock(), error)
        receiver = replace(receiver, cursor=delivery.cursor, delivered_at=clock(), attempts=0, due_at=None, reason="")
    return receiver
