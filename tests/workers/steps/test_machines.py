"""Hosts are asked what they are when an image is built, and it is remembered."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.fakes.desk import Nobody
from watcher import config
from watcher.desk import Desk
from watcher.ledger import Ledger
from watcher.machine import AGAIN, Machine
from workers.steps.machines import machines_of

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    settings = config.parse(
        f"""
        [toplayer]
        state = "{tmp_path}"
        [apps.shop]
        repository = "{tmp_path}/repo"
        lock = "requirements.txt"
        fleet = "ff"
        image = {{ repository = "registry.example/shop", python = "3.11" }}
        [[fleets.ff.hosts]]
        name = "here"
        address = "dir:{tmp_path}/here"
        [[fleets.ff.hosts]]
        name = "away"
        address = "unix://{tmp_path}/nobody.sock"
        """,
        "test",
    )
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    yield Desk(settings, ledger, lambda: NOW, Nobody())
    ledger.close()


def test_every_host_is_asked_once_and_one_that_is_away_is_asked_again(desk: Desk) -> None:
    app = desk.settings.apps["shop"]

    here, away = machines_of(desk, app)

    assert (here.host, here.is_known, here.classic, here.engine) == ("here", True, False, "a directory")
    assert (away.host, away.is_known, away.classic) == ("away", False, True)
    assert "did not answer" in away.reason
    assert machines_of(desk, app) == (here, away)
    assert desk.ledger.all(Machine, fleet="ff", order="host") == (away, here)
    later = Desk(desk.settings, desk.ledger, lambda: NOW + AGAIN, Nobody())
    still, again = machines_of(later, app)
    assert still == here
    assert again.asked_at == NOW + AGAIN
