"""The Celery app of the service mode. Messages carry ids, the ledger decides what is true, Redis may lose it all."""

import contextlib
from datetime import timedelta
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

from watcher.errors import Temporary, ToplayerError
from watcher.ledger import Ledger, utcnow
from watcher.look import NUDGE
from watcher.order import Lane, Order

VISIBILITY = timedelta(minutes=30)
"""How long Redis waits before it gives an unacknowledged message to another worker. A step that takes longer is sent
twice, and that is all: its lease, and the question whether it is still due, make the second message harmless."""

LOOK = "look"


def make_app(broker: str, look_every: timedelta) -> Celery:
    """An app for this broker whose clock asks for a look every `look_every`. Its tasks are in `workers.tasks`."""
    app = Celery("toplayer", broker=broker, set_as_current=False)
    app.conf.update(settings(look_every))
    return app


def queue_of(lane: Lane) -> str:
    """The queue of a lane."""
    return f"toplayer-{lane}"


def settings(look_every: timedelta) -> dict[str, Any]:
    """Celery's settings, and why."""
    transport = {
        "visibility_timeout": VISIBILITY.total_seconds(),
        # A Redis that stands still must not stand us still: by default a send waits for ever.
        "socket_timeout": 10,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 25,
        "global_keyprefix": "toplayer:",
    }
    return {
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,  # what came of a step stands in the ledger
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        "worker_cancel_long_running_tasks_on_connection_loss": False,  # a step goes on without its broker
        "worker_hijack_root_logger": False,
        "worker_send_task_events": False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": transport,
        "task_publish_retry_policy": {"max_retries": 2, "interval_start": 0.2, "interval_max": 1.0},
        "task_default_queue": queue_of(Lane.HERE),
        "enable_utc": True,
        "timezone": "UTC",
        # A look that was not taken before the next one is asked for is not needed any more.
        "beat_schedule": {
            LOOK: {"task": LOOK, "schedule": look_every, "options": {"expires": look_every.total_seconds()}}
        },
        # The only entry is an interval, so there is nothing to keep on disk between two runs.
        "beat_scheduler": "celery.beat:Scheduler",
    }


class BrokerUnreachable(Temporary):
    """Redis does not take a message. Nothing is lost: what is due stands in the ledger."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)

    def __str__(self) -> str:
        return f"the broker did not answer: {self.why}"


_AWAY = (OperationalError, AttributeError)
"""What sending raises while the broker is away. kombu's transport for Redis has taken down its own connection by the
time that another thread sends by it, and asks `None` for its client."""


class Broker:
    """Orders that travel through the broker."""

    def __init__(self, app: Celery, ledger: Ledger) -> None:
        self._app, self._ledger = app, ledger

    def send(self, order: Order, id: str, lane: Lane = Lane.HERE) -> None:
        try:
            self._app.send_task(str(order), args=[id], queue=queue_of(lane))
        except _AWAY as error:
            raise BrokerUnreachable(str(error)) from error

    def nudge(self) -> None:
        # Without it the next look comes a little later, by the clock. A thousand hosts that are ready in one second
        # ask for one look, and not for a thousand.
        with contextlib.suppress(ToplayerError):
            if not self._ledger.post([NUDGE], utcnow()):
                return
            try:
                self._app.send_task(LOOK, expires=60)
            except _AWAY:
                self._ledger.answered(NUDGE)
