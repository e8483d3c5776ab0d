"""What is held is renewed from one thread, which is there for as long as it is needed."""

import threading

import pytest

from watcher import renewal
from watcher.renewal import Renewals


class Calls:
    """Counts its calls, and lets one wait for them."""

    def __init__(self) -> None:
        self._came = threading.Semaphore(0)

    def __call__(self) -> None:
        self._came.release()

    def come(self, times: int) -> bool:
        return all(self._came.acquire(timeout=30) for _ in range(times))


def fails() -> None:
    raise OSError("the database is away")


def threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "renewals"]


def test_everything_that_is_held_is_renewed_again_and_again_by_one_thread() -> None:
    renewals, slow, quick = Renewals(), Calls(), Calls()
    before = len(threads())
    with renewals.going_on(slow, 3600), renewals.going_on(quick, 0.001), renewals.going_on(Calls(), 0.001):
        assert quick.come(5)
        assert len(threads()) == before + 1
    with renewals.going_on(quick, 0.001):
        assert quick.come(1)


def test_one_that_fails_does_not_harm_the_others(caplog: pytest.LogCaptureFixture) -> None:
    renewals, calls = Renewals(), Calls()
    with renewals.going_on(fails, 0.001), renewals.going_on(calls, 0.001):
        assert calls.come(3)
    assert "the database is away" in caplog.text


def test_what_has_ended_is_not_renewed_and_a_thread_with_nothing_to_do_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewal, "_IDLE", 0.01)
    renewals, calls, before = Renewals(), Calls(), threads()
    for _ in range(3):
        with renewals.going_on(calls, 0.001):
            assert calls.come(2)
            mine = next(one for one in threads() if one not in before)
        mine.join(timeout=30)
        assert not mine.is_alive()
