"""A worker's threads, and its loop that waits for them."""

import select
import threading
import time
from collections.abc import Iterator

import pytest
from kombu.asynchronous import Hub

from workers.pool import Threads


@pytest.fixture
def hub() -> Iterator[Hub]:
    made = Hub()
    yield made
    made.close()


def test_the_loop_of_a_worker_wakes_when_a_thread_is_free(hub: Hub) -> None:
    pool, acknowledged = Threads(limit=1), threading.Event()
    pool.register_with_event_loop(hub)
    for _ in range(3):
        acknowledged.clear()
        assert select.select(list(hub.readers), [], [], 0)[0] == [], "nothing is done yet"
        pool.on_apply(time.sleep, (0.05,), callback=lambda _: acknowledged.set())
        assert select.select(list(hub.readers), [], [], 30)[0], "the loop would sleep on"
        assert acknowledged.is_set(), "else there is no room yet for one more message"
        next(hub.create_loop())
    pool.on_stop()


def test_a_bell_that_nobody_hears_holds_up_no_thread(hub: Hub) -> None:
    pool = Threads(limit=2)
    for _ in range(70_000):
        pool._ring(None)
    pool.register_with_event_loop(hub)
    next(hub.create_loop())
    pool.on_stop()
