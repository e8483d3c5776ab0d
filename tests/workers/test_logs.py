"""What the service logs."""

import logging
import sys

from workers.logs import Hide


def logged(level: int, secret: str = "s3cret") -> str:
    try:
        raise ConnectionError(f"redis://:{secret}@broker went away")
    except ConnectionError:
        record = logging.LogRecord("celery", level, __file__, 1, "lost %s\n", ("it",), sys.exc_info())
    return Hide([secret]).format(record)


def test_a_warning_is_one_line_that_says_what_was_raised() -> None:
    said = logged(logging.WARNING)
    assert said.endswith("WARNING celery lost it (ConnectionError: redis://:[hidden]@broker went away)"), said


def test_an_error_keeps_its_traceback_for_whoever_has_to_mend_it() -> None:
    said = logged(logging.ERROR)
    assert "Traceback (most recent call last)" in said
    assert "s3cret" not in said
