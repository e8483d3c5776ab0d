"""The hands that the CLI is given: the same steps, in this process or through the broker.

Each method imports what it needs: Celery, Docker and Sentry take longer to import than `status` takes to answer.
"""

import contextlib
import gc
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path

from watcher import decide
from watcher.cli.hands import Adopted, Finding
from watcher.desk import Desk
from watcher.dockerfile.foresight import Foresight
from watcher.dockerfile.project import Project
from watcher.errors import Overtaken, Refused, ToplayerError
from watcher.fleet import HostSettings
from watcher.head import Head
from watcher.image import Platform
from watcher.layers.outlook import Outlook
from watcher.ledger import Ledger, utcnow
from watcher.order import Lane, Order
from watcher.rollout import Rollout
from watcher.settings import Settings
from watcher.source import Source
from watcher.unfinished import unfinished
from watcher.weigh import weigh
from workers import logs

Tell = Callable[[str], None]


class NoBroker(Refused):
    """A command of the service mode, without a broker."""

    hint = 'name one: broker = "redis://…" under [toplayer]; or run `toplayer serve`, which needs none'

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(path)

    def __str__(self) -> str:
        return f"{self.path}: toplayer.broker: expected the address of a broker, got nothing"


class Nobody:
    """A post that sends nothing, for looking without acting."""

    def send(self, order: Order, id: str, lane: Lane = Lane.HERE) -> None:
        return

    def nudge(self) -> None:
        return


class Workers:
    """See `watcher.cli.hands.Hands`."""

    def run(self, settings: Settings, ledger: Ledger, patience: timedelta, tell: Tell) -> None:
        _after_the_rush(settings, tell)
        _work_here(settings, ledger, patience, tell, fresh=True)

    def follow(self, settings: Settings, ledger: Ledger, patience: timedelta, tell: Tell) -> None:
        if not settings.broker_url:
            _work_here(settings, ledger, patience, tell, fresh=False)
            return
        from workers.app import Broker, make_app

        Broker(make_app(settings.broker_url, settings.toplayer.look), ledger).nudge()
        until = time.monotonic() + patience.total_seconds()
        # An order is a row that the service's next look sees; it needs a moment before it shows as being under way.
        time.sleep(settings.toplayer.look.total_seconds() / 5)
        while (left := unfinished(settings, ledger, utcnow(), patience)) and time.monotonic() < until:
            tell(left[0])
            time.sleep(0.5)

    def refresh(self, settings: Settings, ledger: Ledger, apps: Sequence[str], tell: Tell) -> Sequence[str]:
        from workers.refresh import ask_all
        from workers.steps import carry

        logs.quiet()
        _after_the_rush(settings, tell)
        now = utcnow()
        desk = Desk(settings, ledger, utcnow, Nobody(), fresh_since=now)
        for app in apps:
            tell(f"surveying {app}")
            ledger.add(Head(app=app), now)
            carry(Order.SURVEY, app, desk)
        busy = ask_all(desk, carry, tell)
        for app in apps:
            with contextlib.suppress(Overtaken):
                weigh(ledger.find(Head, app=app) or Head(app=app), settings, ledger, utcnow())
        return busy

    def serve(self, settings: Settings, ledger: Ledger) -> None:
        from workers import embedded, sentry
        from workers.steps import carry

        logs.start(settings)
        sentry.start(settings)
        settle()
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

    def worker(self, settings: Settings, concurrency: int, lanes: Sequence[Lane], log_level: str) -> int:
        from workers.lanes import run_each

        _broker(settings)

        def run(lane: Lane) -> None:
            _work_for(settings, concurrency, lane, log_level)

        if len(lanes) > 1:
            return run_each(lanes, run)
        run(lanes[0])
        return 0

    def beat(self, settings: Settings, log_level: str) -> None:
        from workers import sentry
        from workers.app import make_app

        logs.start(settings, log_level)
        sentry.start(settings)
        make_app(_broker(settings), settings.toplayer.look).Beat(loglevel=log_level.upper(), quiet=True).run()

    def outlook(self, settings: Settings, ledger: Ledger, app: str) -> Outlook:
        from workers.image.outlook import outlook

        logs.quiet()
        return outlook(app, settings, ledger, utcnow(), _sources(app, settings, ledger))

    def foresee(self, settings: Settings, ledger: Ledger, app: str) -> Foresight:
        from workers.steps.dockerfile import foresee

        logs.quiet()
        return foresee(app, settings, ledger)

    def project(
        self, dockerfile: Path, context: Path, days: int, settings: Settings | None, ledger: Ledger | None, app: str
    ) -> Project:
        from watcher.dockerfile.project import expecting
        from watcher.layers.rates import rates
        from workers.dockerfile.earlier import earlier
        from workers.dockerfile.project import project
        from workers.oci.stores import open_store

        logs.quiet()
        image, seconds = None, dict[str, float]()
        if settings is not None and ledger is not None:
            rollouts = ledger.all(Rollout, app=app, order="-generation", limit=50)
            newest = next((one.image for one in rollouts if one.image), None)
            store = open_store(settings.apps[app].image.repository, settings.registries)
            platform = Platform.parse(settings.apps[app].image.platform)
            image = earlier(store, newest, platform) if newest else None
            for built in reversed([one.built for one in rollouts if one.built]):
                seconds |= built.timings
        found = project(dockerfile, context, days, image, seconds)
        head = ledger.find(Head, app=app) if ledger is not None else None
        if settings is None or ledger is None or head is None:
            return found
        pins = [pin for pin in head.pins if pin.lock in settings.apps[app].locks]
        return expecting(found, pins, rates(app, pins, settings, ledger, utcnow()))

    def doctor(self, settings: Settings, sentry: bool) -> Iterator[Finding]:
        from workers import doctor

        logs.quiet()
        yield from doctor.examine(settings, sentry)

    def drift(self, settings: Settings, ledger: Ledger, apps: Sequence[str]) -> Iterator[Finding]:
        from workers.drift import drift

        logs.quiet()
        yield from drift(settings, ledger, apps)

    def adopt(self, host: HostSettings, container: str, app: str) -> Adopted:
        from workers.adopt import adopt

        logs.quiet()
        return adopt(host, container, app)

    def demo(self, directory: Path | None, tell: Tell) -> None:
        from workers.demo import demo

        logs.quiet()
        demo(directory, tell)


def _after_the_rush(settings: Settings, tell: Tell) -> None:
    """Where no person is waiting, it is a timetable that has started us, and most of those say "on the hour": then the
    indexes that are everybody's are asked when the others have had their answers."""
    theirs = any(one.is_everybodys for one in settings.indexes.values())
    left = decide.rush_left(utcnow(), os.getpid()) if theirs and not sys.stderr.isatty() else timedelta()
    if left:
        tell(f"waiting for {left.total_seconds():.0f} s: everybody asks at the full hour")
        time.sleep(left.total_seconds())


def _sources(app: str, settings: Settings, ledger: Ledger) -> Sequence[Source]:
    """What an app's locks take from no index, if its repository is at hand."""
    from watcher import lockfiles
    from workers.steps.rooms import repository_of

    head = ledger.find(Head, app=app)
    if head is None or not head.commit:
        return ()
    with contextlib.suppress(ToplayerError):
        repository = repository_of(settings, app)
        return lockfiles.elsewhere(settings.apps[app].locks, lambda path: repository.read(head.commit, path))
    return ()


def _work_here(settings: Settings, ledger: Ledger, patience: timedelta, tell: Tell, *, fresh: bool) -> None:
    from workers import embedded, sentry
    from workers.steps import carry

    logs.quiet()
    sentry.start(settings)
    desk, threads = embedded.open_desk(settings, ledger, carry, utcnow, fresh)
    try:
        embedded.run_until_idle(desk, threads, patience, tell)
    finally:
        threads.close()


def settle() -> None:
    """For a process that stays: what was loaded until now stays, too, and is not gone through again and again for what
    could be freed. That took a fifth of a round's time (`make bench-watch`)."""
    gc.collect()
    gc.freeze()


def _work_for(settings: Settings, concurrency: int, lane: Lane, log_level: str) -> None:
    """A Celery worker of one lane, until it is told to stop."""
    from celery.exceptions import CPendingDeprecationWarning

    from workers import sentry
    from workers.app import Broker, make_app, queue_of
    from workers.pool import Threads
    from workers.steps import carry
    from workers.tasks import register

    logs.start(settings, log_level)
    sentry.start(settings)
    # At every loss of the broker Celery advises against a setting that `make_app` makes on purpose, in eight lines.
    warnings.simplefilter("ignore", CPendingDeprecationWarning)
    app = make_app(_broker(settings), settings.toplayer.look)

    @cache
    def desk_of(_process: int) -> Desk:
        Path(settings.toplayer.state).mkdir(parents=True, exist_ok=True)
        ledger = Ledger(settings.ledger_url)
        return Desk(settings, ledger, utcnow, Broker(app, ledger))

    # A connection to the database does not survive a fork, so each process of the pool opens its own.
    register(app, lambda: desk_of(os.getpid()), carry)
    settle()
    app.Worker(
        hostname=f"toplayer-{lane}-{os.getpid()}@%h",
        queues=[queue_of(lane)],
        concurrency=concurrency,
        # Whoever waits for hosts needs no processor, and a thread is enough for that.
        pool="prefork" if lane is Lane.HERE else Threads,
        loglevel=log_level.upper(),
        without_gossip=True,
        without_mingle=True,
        quiet=True,
    ).start()


def _broker(settings: Settings) -> str:
    if not settings.broker_url:
        raise NoBroker(settings.path)
    return settings.broker_url
