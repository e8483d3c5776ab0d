"""Part of `make faults`: messages that come twice, and work that is under way when its worker is replaced."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from redis import Redis

from tests.rig.celery_image import celery_image
from tests.rig.engine import EVERYWHERE
from tests.rig.fleet import Parts, fleet, parts
from tests.rig.process import wait_for
from tests.rig.redis import redis
from workers.oci.stores import open_store

IMPATIENT = """
from datetime import timedelta
import workers.app
workers.app.VISIBILITY = timedelta(seconds=2)
"""
SLOWLY = "trap 'sleep 6; exit 0' TERM; while :; do sleep 60 & wait $!; done"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    with parts(tmp_path_factory.mktemp("parts")) as made:
        yield made


def test_08_messages_that_are_given_out_again_after_two_seconds_do_everything_once(tmp_path: Path, real: Parts) -> None:
    """Each swap takes longer than Redis waits for its end."""
    with fleet(tmp_path, real, run={"order": "stop-first", "stop_grace": "20s"}) as site:
        site.kill()
        site.world.prelude = IMPATIENT
        site.start()
        for _ in range(2):
            site.ends(site.order(site.release(command=SLOWLY)), within=300)
        kinds = [event.kind for event in site.ledger.events()]
        assert kinds.count("host.swapping") == kinds.count("host.proving") == kinds.count("host.done") == 8
        for host in real.hosts:
            assert site.standing(host) == {"shop": "up 2"}


def test_17_no_task_of_a_celery_worker_is_lost_or_done_twice_when_it_is_replaced(tmp_path: Path, real: Parts) -> None:
    run = {"order": "stop-first", "stop_grace": "60s"}
    with redis(tmp_path / "tasks", EVERYWHERE) as tasks, fleet(tmp_path, real, run=run) as site:
        broker, done = f"redis://{EVERYWHERE}:{tasks.port}/0", Redis.from_url(tasks.url, decode_responses=True)
        store = open_store(site.repository, {real.registry.address: real.registry.settings})
        app, given = Celery(broker=tasks.url), list[int]()

        def give() -> None:
            app.send_task("work", args=[len(given)])
            given.append(len(given))

        site.ends(site.order(celery_image(store, 1, broker)), within=300)
        for _ in range(100):
            give()
        wait_for(lambda: done.llen("done") > 5, "the workers to be at work", 60)
        id = site.order(celery_image(store, 2, broker))
        while site.stage(id).is_open:
            give()
            time.sleep(0.2)
        site.ends(id)
        wait_for(lambda: done.llen("done") >= len(given), "the last task", 240)
        assert sorted(map(int, done.lrange("done", 0, -1))) == given, "in = out"
        assert set(done.hvals("by")) == {"1", "2"}, "some by the old ones, and some by the new"
