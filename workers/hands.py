"""The hands that the CLI is given: the same steps, in this process or through the broker."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path

from watcher.cli.hands import Finding
from watcher.desk import Desk
from watcher.head import Head
from watcher.ledger import Ledger, utcnow
from watcher.lookup import IndexState
from watcher.order import Order
from watcher.settings import Settings
from watcher.unfinished import unfinished
from workers import doctor, embedded, logs, sentry
from workers.app import Broker, make_app
from workers.demo import demo
from workers.steps import carry
from workers.tasks import register

Tell = Callable[[str], None]


class Nobody:
    """A post that sends nothing, for looking without acting."""

    def send(self, order: Order, id: str) -> None:
        return

    def nudge(self) -> None:
        return


class Workers:
    """See `watcher.cli.hands.Hands`."""

    def run(self, settings: Settings, ledger: Ledger, patience: timedelta, tell: Tell) -> None:
        _work_here(settings, ledger, patience, tell, fresh=True)

    def follow(self, settings: Settings, ledger: Ledger, patience: timedelta, tell: Tell) -> None:
        if not settings.broker_url:
            _work_here(settings, ledger, patience, tell, fresh=False)
            return
        Broker(make_app(settings.broker_url, settings.toplayer.look)).nudge()
        until = time.monotonic() + patience.total_seconds()
        # An order is a row that the service's next look sees; it needs a moment before it shows as being under way.
        time.sleep(settings.toplayer.look.total_seconds() / 5)
        while (left := unfinished(settings, ledger, utcnow())) and time.monotonic() < until:
            tell(left[0])
            time.sleep(0.5)

    def refresh(self, settings: Settings, ledger: Ledger, apps: Sequence[str], tell: Tell) -> None:
        logs.quiet()
        now = utcnow()
        desk = Desk(settings, ledger, utcnow, Nobody(), fresh_since=now)
        for app in apps:
            tell(f"surveying {app}")
            ledger.add(Head(app=app), now)
            carry(Order.SURVEY, app, desk)
        for index in settings.indexes:
            tell(f"asking {index}")
            ledger.add(IndexState(index=index), now)
            carry(Order.POLL, index, desk)

    def serve(self, settings: Settings, ledger: Ledger) -> None:
        logs.start(settings)
        sentry.start(settings)
        stop = threading.Event()
        desk, threads = embedded.open_desk(settings, ledger, carry, utcnow)

        def end(_signal: int, _frame: object) -> None:
            stop.set()
            threads.nudge()

        before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            embedded.serve(desk, threads, stop)
        finally:
            threads.close()
            for number, handler in before.items():
                signal.signal(number, handler)

    def worker(self, settings: Settings, concurrency: int, log_level: str) -> None:
        logs.start(settings, log_level)
        sentry.start(settings)
        app = make_app(_broker(settings), settings.toplayer.look)

        @cache
        def desk_of(_process: int) -> Desk:
            Path(settings.toplayer.state).mkdir(parents=True, exist_ok=True)
            return Desk(settings, Ledger(settings.ledger_url), utcnow, Broker(app))

        # A connection to the database does not survive a fork, so each process of the pool opens its own.
        register(app, lambda: desk_of(os.getpid()), carry)
        app.Worker(
            hostname=f"toplayer-{os.getpid()}@%h",
            concurrency=concurrency,
            pool="prefork",
            loglevel=log_level.upper(),
            without_gossip=True,
            without_mingle=True,
            quiet=True,
        ).start()

    def beat(self, settings: Settings, log_level: str) -> None:
        logs.start(settings, log_level)
        sentry.start(settings)
        make_app(_broker(settings), settings.toplayer.look).Beat(loglevel=log_level.upper(), quiet=True).run()

    def doctor(self, settings: Settings, sentry: bool) -> Iterator[Finding]:
        logs.quiet()
        yield from doctor.examine(settings, sentry)

    def demo(self, directory: Path | None, tell: Tell) -> None:
        logs.quiet()
        demo(directory, tell)


def _work_here(settings: Settings, ledger: Ledger, patience: timedelta, tell: Tell, *, fresh: bool) -> None:
    logs.quiet()
    sentry.start(settings)
    desk, threads = embedded.open_desk(settings, ledger, carry, utcnow, fresh)
    try:
        embedded.run_until_idle(desk, threads, patience, tell)
    finally:
        threads.close()


def _broker(settings: Settings) -> str:
    if not settings.broker_url:
        raise doctor.NoBroker(settings.path)
    return settings.broker_url
