"""`make faults` (as root, some ten minutes): what can go wrong with a rollout, on a fleet of real parts.

The numbers in the names are those of the table in docs/rollouts.md. Faults of a single host, such as a full disk, are
in `tests/workers/fleet/`, where they take a second. The third is a journey, and is tried for every change.
"""

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.fleet import SERVE, Fleet, Parts, crossed, cut, fleet, parts, serving, slow
from tests.rig.process import wait_for
from watcher.ledger import utcnow
from watcher.rollout import HostStage, RolloutStage


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    with parts(tmp_path_factory.mktemp("parts")) as made:
        yield made


@pytest.fixture
def site(tmp_path: Path, real: Parts) -> Iterator[Fleet]:
    """A fleet on which the first image runs."""
    with fleet(tmp_path, real) as made:
        made.deploy(made.release())
        yield made


def runs(site: Fleet, version: int) -> None:
    """Every host runs exactly this, and nothing is left of any attempt."""
    for host in site.parts.hosts:
        assert site.standing(host) == {"shop": f"up {version}"}


def test_02_every_process_is_killed_at_any_moment_of_a_swap(site: Fleet) -> None:
    chance = random.Random(7)
    with serving(site.parts.hosts) as gone:
        for version in range(2, 8):
            id = site.order(site.release())
            for _ in range(2):
                time.sleep(chance.uniform(0.5, 5))
                site.kill()
                site.start()
            site.ends(id)
            runs(site, version)
    assert not gone, "start-first: there was always one that ran"


@pytest.mark.journey
def test_03_the_link_is_cut_at_sixty_percent_of_a_pull_and_the_workers_die_with_it(site: Fleet) -> None:
    # The one by SSH: its helper finds the engine where the settings say, and our own words cross its link, too.
    image, host = site.release(large=6_000_000), site.parts.hosts[-1]
    before = crossed(host)
    with slow(host, "2mbit") as link:
        id = site.order(image)
        name = f"{id}:h4"
        wait_for(lambda: (now := site.ledger.transfers().get(name)) is not None and now.gone > 3_600_000, "60 %", 60)
        cut(link, down=True)
        site.kill()
        time.sleep(8)
        cut(link, down=False)
        site.start()
        site.ends(id)
    runs(site, 2)
    assert site.states(id)["h4"].bytes is not None
    assert site.pulled(image) <= 1.05 * 4 * site.size(image), "no byte travelled twice"
    control = 800_000  # asked every second for a minute, by SSH
    assert crossed(host) - before <= 1.05 * site.size(image) + control, "with all that was asked over the same link"


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGTERM])
def test_05_an_engine_freezes_or_is_stopped_in_the_middle(site: Fleet, number: signal.Signals) -> None:
    host = site.parts.hosts[1]
    id = site.order(site.release())
    wait_for(lambda: site.states(id).get("h2", None) is not None and site.states(id)["h2"].stage.is_moving, "h2", 60)
    if number is signal.SIGTERM:
        host.restart(number)
    else:
        os.kill(host.pid, number)
        time.sleep(60)
        os.kill(host.pid, signal.SIGCONT)
    site.ends(id, within=300)
    runs(site, 2)


@pytest.mark.parametrize("comes_back", ["empty", "as it was", "flushed"])
def test_06_redis_dies_and_comes_back_or_is_emptied_while_it_runs(site: Fleet, comes_back: str) -> None:
    broker, keeps = site.parts.broker, comes_back == "as it was"
    if keeps:
        broker.kill()
        broker.start(keeps=True)
    id = site.order(site.release())
    wait_for(lambda: site.stage(id) is RolloutStage.ROLLING, "a rollout under way", 60)
    if comes_back == "flushed":
        broker.flush()
    else:
        broker.kill()
        time.sleep(2)
        broker.start(keeps=keeps)
    site.ends(id, within=240)
    runs(site, 2)


def test_07_redis_stands_still_and_people_still_get_answers(site: Fleet) -> None:
    id = site.order(site.release())
    assert site.parts.broker.process is not None
    os.kill(site.parts.broker.process.pid, signal.SIGSTOP)
    site.world.json("status", expect=None)
    orders = [("pause",), ("resume",), ("abort", "--no-wait"), ("retry", "--no-wait")]
    for verb, *more in orders:
        site.world.toplayer(verb, "shop", *more, expect=0)
    assert site.stage(id) is RolloutStage.HALTED, "an order is a row, whatever the broker does"
    time.sleep(15)
    os.kill(site.parts.broker.process.pid, signal.SIGCONT)
    site.ends("shop:3", within=240)
    runs(site, 2)


def test_09_two_controllers_and_two_beats_do_everything_once(tmp_path: Path, real: Parts) -> None:
    for broker in (True, False):
        with fleet(tmp_path / str(broker), real, broker=broker) as site:
            for _ in range(6):
                site.deploy(site.release())
            runs(site, 6)
            kinds = [event.kind for event in site.ledger.events()]
            assert kinds.count("host.swapping") == kinds.count("host.proving") == kinds.count("host.done") == 24


def test_13_a_host_that_was_away_goes_straight_to_the_newest(site: Fleet) -> None:
    host = site.parts.hosts[1]
    assert host.link is not None
    cut(host.link.device, down=True)
    try:
        second = site.order(site.release())
        wait_for(lambda: _done(site, second) == 3, "all others", 120)
        wait_for(lambda: _waits(site, second, "h2"), "the one that is away to be pending", 60)
        third = site.order(site.release())
        wait_for(lambda: site.stage(second) is RolloutStage.SUPERSEDED, "the newer one", 60)
        wait_for(lambda: _done(site, third) == 3, "all others", 120)
    finally:
        cut(host.link.device, down=False)
    site.world.toplayer("retry", "shop", expect=None)
    site.ends(third, within=240)
    runs(site, 3)


def test_14_a_link_that_flaps_converges(site: Fleet) -> None:
    image = site.release(large=1_500_000)
    with slow(site.parts.hosts[0], "1mbit") as link:
        id = site.order(image)
        until = time.monotonic() + 150
        while site.stage(id).is_open and time.monotonic() < until:
            time.sleep(6)
            cut(link, down=True)
            time.sleep(2)
            cut(link, down=False)
    site.ends(id)
    runs(site, 2)


def test_15_a_sick_image_reaches_the_canary_and_no_further(site: Fleet) -> None:
    id = site.order(site.release(files={"app/sick": ""}))
    halted = site.ends(id, RolloutStage.HALTED)
    assert "ok" in halted.reason, "the words of the probe"
    wait_for(lambda: _at(site, id, HostStage.RETURNED) == 1, "the canary's return", 60)
    assert _at(site, id, HostStage.PENDING) == 3
    assert sorted(site.standing(host).get("shop", "") for host in site.parts.hosts) == ["up 1"] * 4
    assert [event.kind for event in site.ledger.events()].count("rollout.halted") == 1


DIES = {
    "in a restart loop": ("8s", "sleep 2; echo it is too hot >&2; exit 3", "it is too hot"),
    "after its proof": ("2s", "sleep 20; echo it is too hot >&2; exit 3", "it is too hot"),
    "out of memory": ("8s", "sleep 1; x=12345678; while :; do x=$x$x; done", "out of memory"),
}


@pytest.mark.parametrize("how", DIES)
def test_16_an_image_that_does_not_live_is_seen_without_any_healthcheck(tmp_path: Path, real: Parts, how: str) -> None:
    steady, command, words = DIES[how]
    with fleet(tmp_path, real, run={"memory": "24m"}, soak="45s") as site:
        text = site.world.config.read_text()
        start, end = text.index("health = "), text.index("\n", text.index("health = "))
        site.kill()
        site.world.config.write_text(text[:start] + f'health = {{ steady = "{steady}" }}' + text[end:])
        site.start()
        site.ends(site.order(site.release()), within=240)
        id = site.order(site.release(command=command))
        halted = site.ends(id, RolloutStage.HALTED)
        assert words in halted.reason, "what the engine, or the last lines of its log, say"
        wait_for(lambda: _at(site, id, HostStage.RETURNED) == 1, "the canary's return", 60)
        assert sorted(site.standing(host).get("shop", "") for host in site.parts.hosts) == ["up 1"] * 4


def test_17_work_that_takes_its_time_is_finished(tmp_path: Path, real: Parts) -> None:
    slowly = "trap 'sleep 4; exit 0' TERM; while :; do sleep 60 & wait $!; done"
    with fleet(tmp_path, real, run={"order": "stop-first", "stop_grace": "20s"}) as site:
        site.deploy(site.release(command=slowly))
        began = int(utcnow().timestamp()) - 1
        site.deploy(site.release(command=SERVE))
        runs(site, 2)
        for host in real.hosts:
            with host.api() as api:
                now, wanted = int(utcnow().timestamp()) + 1, {"event": "die", "label": "io.toplayer.service=shop"}
                died = list(api.events(since=began, until=now, filters=wanted, decode=True))
            assert [event["Actor"]["Attributes"]["exitCode"] for event in died] == ["0"], "nobody was killed"


def test_19_a_port_that_is_taken_halts_and_touches_nobody_else(tmp_path: Path, real: Parts) -> None:
    with fleet(tmp_path, real, run={"order": "stop-first", "ports": ["8080:8080"]}) as site:
        first = site.release()
        with real.hosts[0].api() as api:
            api.pull(site.repository, tag=str(first))
            taken = api.create_host_config(port_bindings={8080: 8080})
            other = api.create_container(f"{site.repository}@{first}", ports=[8080], host_config=taken, name="other")
            api.start(other)
        id = site.order(first)
        halted = site.ends(id, RolloutStage.HALTED)
        assert "8080" in halted.reason
        assert site.standing(real.hosts[0])["other"] == "up 1"
        assert all(site.standing(host) == {} for host in real.hosts[1:])


def _waits(site: Fleet, id: str, host: str) -> bool:
    state = site.states(id)[host]
    return state.stage is HostStage.PENDING and "did not answer" in state.reason


def _done(site: Fleet, id: str) -> int:
    return _at(site, id, HostStage.DONE)


def _at(site: Fleet, id: str, stage: HostStage) -> int:
    return sum(state.stage is stage for state in site.states(id).values())
