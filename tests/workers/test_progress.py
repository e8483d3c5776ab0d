"""How far a pull is, for whoever watches."""

from datetime import datetime, timedelta
from pathlib import Path

from rich.console import Console

from watcher import view
from watcher.cli.live import shown
from watcher.image import Digest
from watcher.ledger import Ledger
from watcher.rollout import HostStage, HostState, Rollout, RolloutStage
from workers.progress import EVERY, Progress


def test_the_bytes_of_a_pull_are_shown_while_they_travel_and_are_gone_when_they_came(
    tmp_path: Path, now: datetime
) -> None:
    ledger, clock = Ledger(f"sqlite:///{tmp_path}/ledger.db"), [now]
    image = Digest(f"sha256:{1:064x}")
    rollout = Rollout(
        id="shop:1", app="shop", generation=1, commit="c", stage=RolloutStage.ROLLING, image=image, wanted_at=now
    )
    host = HostState(rollout="shop:1", host="h1", position=0).at(HostStage.CALLED, now)
    ledger.write([(None, rollout), (None, host)], now)
    with Progress(ledger, "shop:1:h1", lambda: clock[0]) as tell:
        tell(1_000, 100_000)
        tell(2_000, 100_000)
        assert ledger.transfers()["shop:1:h1"].gone == 1_000, "not every event is written"
        clock[0] += EVERY
        tell(50_000, 100_000)
        row = view.rollout_row(ledger, rollout)
        assert (row["hosts"][0]["gone"], row["hosts"][0]["known"]) == (50_000, 100_000)
        console = Console(record=True, width=120)
        for part in shown(row):
            console.print(part)
        assert "50 kB of 100 kB" in console.export_text()
    assert ledger.transfers() == {}
    ledger.close()


def test_a_ledger_that_is_away_is_no_obstacle_to_a_pull(tmp_path: Path, now: datetime) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    ledger.close()
    (tmp_path / "ledger.db").unlink()
    (tmp_path / "ledger.db").mkdir()
    with Progress(ledger, "shop:1:h1", lambda: now + timedelta(0)) as tell:
        tell(1, 2)
    ledger.close()
