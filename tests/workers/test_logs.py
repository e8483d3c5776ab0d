"""What the service logs."""

import logging
import sys

import kombu.exceptions
import pytest
import redis
from celery.beat import SchedulingError

from workers.logs import Hide


def logged(level: int, secret: str = "s3cret", kind: type[Exception] = ConnectionError, name: str = "celery") -> str:
    try:
        raise kind(f"redis://:{secret}@broker went away")
    except kind:
        record = logging.LogRecord(name, level, __file__, 1, "lost %s\nin a stack\n", ("it",), sys.exc_info())
    return Hide([secret]).format(record)


def test_a_warning_is_one_line_that_says_what_was_raised() -> None:
    said = logged(logging.WARNING)
    assert said.endswith("WARNING celery lost it (ConnectionError: redis://:[hidden]@broker went away)"), said


def test_an_error_keeps_its_traceback_for_whoever_has_to_mend_it() -> None:
    said = logged(logging.ERROR)
    assert "Traceback (most recent call last)" in said
    assert "s3cret" not in said


@pytest.mark.parametrize(
    "kind", [ConnectionResetError, TimeoutError, kombu.exceptions.OperationalError, SchedulingError]
)
@pytest.mark.parametrize("name", ["celery.beat", "celery.bootsteps", "kombu.asynchronous.hub"])
def test_wherever_the_broker_is_missed_it_is_one_line(kind: type[Exception], name: str) -> None:
    assert logged(logging.ERROR, kind=kind, name=name).endswith(
        f"lost it ({kind.__name__}: redis://:[hidden]@broker went away)"
    )


def test_a_message_that_could_not_be_acknowledged_because_the_broker_died_is_one_line() -> None:
    away = redis.exceptions.ConnectionError
    said = logged(logging.CRITICAL, kind=away, name="celery.worker.request")
    assert said.endswith("celery.worker.request lost it (ConnectionError: redis://:[hidden]@broker went away)"), said
    assert "Traceback" in logged(logging.CRITICAL, kind=KeyError, name="celery.worker.request"), "but nothing else is"
    assert "Traceback" in logged(logging.ERROR, kind=away, name="toplayer")
    assert "Traceback" in logged(logging.ERROR, kind=ConnectionResetError, name="celery.app.trace"), "it is no broker's"
