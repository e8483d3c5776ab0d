"""Orders by a broker that is away: the look goes on, and says so."""

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from unittest import mock

import pytest
from celery import Celery
from kombu.exceptions import OperationalError

from watcher.desk import Desk
from watcher.ledger import Ledger, utcnow
from watcher.look import NUDGE, Round
from watcher.order import Order
from watcher.settings import Settings
from workers.app import LOOK, Broker, BrokerUnreachable, make_app
from workers.rest import LONGEST
from workers.tasks import register


@pytest.fixture
def app() -> Celery:
    return make_app("memory://", timedelta(seconds=5))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(f"sqlite:///{tmp_path}/ledger.db")) as opened:
        yield opened


@pytest.mark.parametrize("error", [OperationalError("refused"), AttributeError("'NoneType' has no attribute 'client'")])
def test_an_order_that_cannot_be_sent_is_sent_later(app: Celery, ledger: Ledger, error: Exception) -> None:
    broker = Broker(app, ledger)
    with mock.patch.object(app, "send_task", side_effect=error):
        with pytest.raises(BrokerUnreachable, match="the broker did not answer"):
            broker.send(Order.BUILD, "shop:7")
        broker.nudge()


def test_a_look_is_asked_for_when_the_last_one_has_had_its_rest(app: Celery, ledger: Ledger) -> None:
    broker = Broker(app, ledger)
    with mock.patch.object(app, "send_task") as sent:
        broker.nudge()
        broker.nudge()
        assert [call.kwargs["countdown"] for call in sent.mock_calls] == [None]

        ledger.answered(NUDGE)
        ledger.rest(LOOK, utcnow() + timedelta(seconds=1.5))
        broker.nudge()
        assert 1 < sent.mock_calls[-1].kwargs["countdown"] <= 1.5

        ledger.answered(NUDGE)
        ledger.rest(LOOK, utcnow() + timedelta(days=1))
        broker.nudge()
        assert sent.mock_calls[-1].kwargs["countdown"] == LONGEST, "a clock that was set back stops no look"


def test_a_look_that_takes_its_time_is_followed_by_three_times_as_much_rest(app: Celery, ledger: Ledger) -> None:
    settings = Settings.model_validate({"toplayer": {"state": "/nowhere"}})
    desk = Desk(settings, ledger, utcnow, Broker(app, ledger))
    register(app, lambda: desk, lambda *_: None)

    def slow(_: Desk) -> Round:
        time.sleep(0.2)
        return Round()

    with mock.patch("workers.tasks.look", side_effect=slow):
        app.tasks[LOOK]()
    rests = ledger.rests(LOOK)
    assert rests is not None
    assert utcnow() + timedelta(seconds=0.3) < rests
