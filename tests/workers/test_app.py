"""Orders by a broker that is away: the look goes on, and says so."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from unittest import mock

import pytest
from celery import Celery
from kombu.exceptions import OperationalError

from watcher.ledger import Ledger
from watcher.order import Order
from workers.app import Broker, BrokerUnreachable, make_app


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
    with mock.patch.object(app, "send_task") as sent:
        broker.nudge()
    assert sent.called, "a look that could not be asked for may be asked for again at once"
