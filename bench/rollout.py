"""`make bench-rollout`: what a rollout to many hosts costs the controller. The hosts are in memory, the rest is not.

It is the embedded mode as it stands: the look, its threads, the outbox of orders, the ledger in SQLite on this disk.
Only the hosts answer at once. So the figures are toplayer's own: what a rollout has on top of its pulls and swaps.
"""

import resource
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from tests.fakes.host import FakeHost, Slot
from tests.fakes.store import FakeStore
from tests.workers.fleet.worlds import made, service
from watcher import config
from watcher.desk import Desk
from watcher.head import Head
from watcher.ledger import Ledger, utcnow
from watcher.look import look
from watcher.order import Lane, Order
from watcher.rollout import HostStage, HostState, Rollout, RolloutStage
from workers import steps
from workers.carry import carry_out
from workers.embedded import Threads
from workers.fleet.roll import step as roll_step

AT_ONCE = 500
THREADS = 8


@dataclass
class Cost:
    """What a rollout to `hosts` cost: seconds of the clock and of a CPU, those that the looks took, and messages."""

    hosts: int
    seconds: float = 0.0
    cpu: float = 0.0
    looking: float = 0.0
    looks: int = 0
    messages: Counter[str] = field(default_factory=Counter)


class Counted(Threads):
    """Counts the messages that a broker would have to carry."""

    cost: Cost

    def send(self, order: Order, id: str, lane: Lane = Lane.HERE) -> None:
        self.cost.messages[str(order)] += 1
        super().send(order, id, lane)

    def nudge(self) -> None:
        # What was asked for and has not been answered is not asked for again: see `workers.app.Broker`.
        if not self._changed.is_set():
            self.cost.messages["look"] += 1
        super().nudge()


def rolled(hosts: int, directory: Path, proof: timedelta) -> Cost:
    """Rolls one image out to so many hosts, each of which takes `proof` to get well."""
    rows = "\n".join(f'[[fleets.ff.hosts]]\nname = "h{n}"\naddress = "dir:/nowhere/h{n}"' for n in range(hosts))
    settings = config.parse(
        f"""
        [toplayer]
        state = "{directory}"
        [apps.shop]
        repository = "/nowhere"
        lock = "requirements.txt"
        fleet = "ff"
        image = {{ repository = "oci:/nowhere/images", python = "3.11" }}
        [fleets.ff]
        waves = [1, "5%", "25%", "100%"]
        at_once = {AT_ONCE}
        {rows}
        """,
        "bench",
    )
    store, ledger = FakeStore(), Ledger(f"sqlite:///{directory}/ledger-{hosts}-{proof.seconds}.db")
    old, new = made(store, "1"), made(store, "2")
    runs = replace(service("shop", store.where), steady=timedelta(0))
    fleet = {f"h{n}": FakeHost(store, f"h{n}") for n in range(hosts)}
    for host in fleet.values():
        host.current = Slot(old, 0, runs, up=True)
        host.images, host.slow = {old: ()}, {new: proof}

    def roll(desk: Desk, state: HostState) -> HostState:
        rollout = desk.ledger.find(Rollout, id=state.rollout)
        assert rollout is not None
        return roll_step(state, rollout, fleet[state.host], runs, timedelta(minutes=2), desk.clock)

    step = replace(steps.step(Order.ROLL), do=roll)
    # What else is due, such as a survey, is no part of a rollout.
    threads = Counted(lambda order, id, desk: order is Order.ROLL and carry_out(order, id, desk, step), THREADS)
    threads.cost = Cost(hosts)
    threads.desk = Desk(settings, ledger, utcnow, threads)
    now = utcnow()
    ledger.add(Head(app="shop", surveyed_at=now), now)
    built = Rollout(
        id="shop:1", app="shop", generation=1, commit="c1", stage=RolloutStage.BUILT, image=new, wanted_at=now
    )
    ledger.add(built, now)
    _until_done(threads, threads.desk, threads.cost)
    threads.close()
    done = ledger.all(HostState, rollout="shop:1", stage=[HostStage.DONE])
    assert len(done) == hosts, f"{len(done)} of {hosts} hosts are done"
    ledger.close()
    return threads.cost


def _until_done(threads: Threads, desk: Desk, cost: Cost) -> None:
    began, cpu = time.monotonic(), time.process_time()
    while True:
        before = time.thread_time()
        look(desk, time.sleep)
        cost.looking += time.thread_time() - before
        cost.looks += 1
        found = desk.ledger.find(Rollout, id="shop:1")
        if found is None or not found.stage.is_open:
            break
        threads.wait(desk.settings.toplayer.look.total_seconds())
    cost.seconds, cost.cpu = time.monotonic() - began, time.process_time() - cpu


_COLUMNS = {
    "HOSTS": 6, "PROOF": 6, "SECONDS": 8, "CPU s": 7, "ms/HOST": 8, "LOOKS": 6, "LOOKS s": 8, "ORDERS/HOST": 12,
    "NUDGES/HOST": 12, "MAX RSS": 8,
}  # fmt: skip


def main() -> None:
    """Prints a line for each size of fleet that was named (1,000 and 10,000 without), and what grows with it.

    The smallest comes twice: the second time each host takes ten seconds to get well.
    """
    sizes = [int(argument) for argument in sys.argv[1:]] or [1_000, 10_000]
    fleets = [
        (sizes[0], timedelta(0)),
        (sizes[0], timedelta(seconds=10)),
        *((size, timedelta(0)) for size in sizes[1:]),
    ]
    print(" ".join(f"{name:>{width}}" for name, width in _COLUMNS.items()))
    with tempfile.TemporaryDirectory(prefix="toplayer-bench-") as directory:
        for hosts, proof in fleets:
            cost = rolled(hosts, Path(directory), proof)
            nudges = cost.messages.pop("look", 0)
            most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            per_host = 1000 * cost.cpu / hosts
            print(
                f"{hosts:>6} {proof.seconds:>4} s {cost.seconds:>8.1f} {cost.cpu:>7.1f} {per_host:>8.2f}"
                f" {cost.looks:>6} {cost.looking:>8.1f} {cost.messages.total() / hosts:>12.2f} {nudges / hosts:>12.2f}"
                f" {most:>5.0f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
