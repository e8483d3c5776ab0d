"""The order to inspect a host, carried out: what comes of it stands in the ledger."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.fakes.desk import Nobody
from tests.fakes.host import FakeHost, Slot
from tests.fakes.store import FakeStore
from tests.workers.fleet.worlds import made
from watcher import config
from watcher.desk import Desk
from watcher.head import Head
from watcher.image import Digest
from watcher.ledger import Ledger
from watcher.order import Order
from watcher.rollout import HostStage, HostState, Rollout, RolloutStage
from workers.carry import carry_out
from workers.embedded import open_desk, run_until_idle
from workers.fleet.host import OTHERWISE, Service
from workers.oci.layout import LayoutStore
from workers.steps import carry, inspect, step

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
IMAGE = Digest(f"sha256:{1:064x}")


@pytest.fixture(params=["tell", "put right"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    settings = config.parse(
        f"""
        [toplayer]
        state = "{tmp_path}"
        [apps.shop]
        repository = "{tmp_path}/repo"
        lock = "requirements.txt"
        survey = "1d"
        fleet = "ff"
        image = {{ repository = "oci:{tmp_path}/images", python = "3.11" }}
        run = {{ health = {{ command = ["sh", "-c", "cat ok"] }} }}
        [fleets.ff]
        drift = "{request.param}"
        [[fleets.ff.hosts]]
        name = "h1"
        address = "dir:{tmp_path}/h1"
        """,
        "test",
    )
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    ledger.add(Head(app="shop", surveyed_at=datetime.now(UTC)), NOW)
    yield Desk(settings, ledger, lambda: NOW, Nobody())
    ledger.close()


def test_what_somebody_took_away_is_told_or_put_right(desk: Desk, tmp_path: Path) -> None:
    image = made(LayoutStore(tmp_path / "images"), "1")
    built = Rollout(
        id="shop:1", app="shop", generation=1, commit="c1", image=image, stage=RolloutStage.BUILT, wanted_at=NOW
    )
    desk.ledger.write([(None, built)], NOW)
    work(desk)
    (done,) = desk.ledger.all(HostState)
    assert done.stage is HostStage.DONE

    shutil.rmtree(tmp_path / "h1")
    aged = replace(done, inspected_at=NOW - timedelta(hours=2))
    desk.ledger.write([(done, aged)], NOW)
    assert carry(Order.INSPECT, "shop:1:h1", desk)

    (seen,) = desk.ledger.all(HostState)
    assert seen.drift == f"runs nothing, and should run {image.short}"
    assert not carry(Order.INSPECT, "shop:1:h1", desk), "it was just done"
    work(desk)
    (after,) = desk.ledger.all(HostState)
    assert after.stage is HostStage.DONE
    put_right = desk.settings.fleets["ff"].drift == "put right"
    assert (tmp_path / "h1" / "current").exists() == put_right
    assert bool(after.drift) != put_right


def work(desk: Desk) -> None:
    inner, threads = open_desk(desk.settings, desk.ledger, carry, lambda: datetime.now(UTC))
    try:
        run_until_idle(inner, threads, timedelta(seconds=20), lambda text: None)
    finally:
        threads.close()


def test_other_settings_are_told_and_come_wave_by_wave(desk: Desk, tmp_path: Path) -> None:
    """They are no accident of one host: what puts hosts right would bring them to all at once, and prove nothing."""
    state = HostState(rollout="shop:1", host="h1", position=0).at(HostStage.DONE, NOW - timedelta(hours=2))
    done = Rollout(id="shop:1", app="shop", generation=1, commit="c1", image=IMAGE, wanted_at=NOW)
    desk.ledger.write([(None, done.at(RolloutStage.ROLLING, NOW).at(RolloutStage.DONE, NOW))], NOW)
    desk.ledger.add(state, NOW)
    host = FakeHost(FakeStore(), "h1")
    host.current = Slot(IMAGE, 1, Service(name="shop", repository="r.example/shop", pids=7), up=True)

    assert carry_out(Order.INSPECT, "shop:1:h1", desk, replace(step(Order.INSPECT), do=inspecting(host)))

    (seen,) = desk.ledger.all(HostState)
    assert seen.stage is HostStage.DONE
    assert seen.drift.startswith(OTHERWISE)
    assert "`toplayer deploy shop`" in seen.drift


def inspecting(host: FakeHost) -> Callable[[Desk, HostState], HostState]:
    """The step as it is, on a host in memory."""

    def do(desk: Desk, state: HostState) -> HostState:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(inspect, "connect", lambda *_: contextlib.nullcontext(host))
            return inspect.INSPECT.do(desk, state)

    return do
