"""The Celery tasks: what toplayer raises on purpose is said, and not thrown at Celery."""

import logging
from datetime import timedelta

import pytest
from celery import Celery

from watcher.desk import Desk
from watcher.errors import LedgerUnreachable, Refused, Temporary
from watcher.order import Order
from workers.app import LOOK, BrokerUnreachable, make_app
from workers.tasks import register


def app_that_meets(error: Exception) -> Celery:
    """Its ledger, or whatever else is needed to begin, is away."""

    def desk() -> Desk:
        raise error

    app = make_app("memory://", timedelta(seconds=5))
    register(app, desk, lambda order, id, desk: None)
    return app


@pytest.mark.parametrize("error", [BrokerUnreachable("refused"), LedgerUnreachable("ledger.db", "locked")])
def test_a_task_says_in_one_line_that_something_is_away(error: Temporary, caplog: pytest.LogCaptureFixture) -> None:
    app = app_that_meets(error)
    app.tasks[LOOK]()
    app.tasks[str(Order.BUILD)]("shop:7")
    said = [(record.levelno, record.getMessage(), record.exc_info) for record in caplog.records]
    assert [(level, text.partition(":")[0], raised) for level, text, raised in said] == [
        (logging.WARNING, "look", None),
        (logging.WARNING, "build shop", None),
    ]
    assert all(str(error) in text for _, text, _ in said)


def test_what_a_person_has_to_mend_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    app_that_meets(Refused("no such file")).tasks[LOOK]()
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("ERROR", "look: no such file")]


def test_a_fault_of_ours_goes_to_celery_and_from_there_to_the_log_and_to_sentry() -> None:
    with pytest.raises(ZeroDivisionError):
        app_that_meets(ZeroDivisionError()).tasks[LOOK]()
