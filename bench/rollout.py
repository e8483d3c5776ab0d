"""`make bench-rollout`: what a rollout to many hosts costs the controller. The hosts are in memory, the ledger is not.

Every step goes through the look, the outbox of orders and the ledger in SQLite, as in the embedded mode; only the
hosts answer at once. So the figures are toplayer's own overhead: what a real rollout has on top of its pulls and swaps.
"""

import resource
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.fakes.host import FakeHost, Slot
from tests.fakes.store import FakeStore
from tests.workers.fleet.worlds import made, service
from watcher import config
from watcher.desk import Desk
from watcher.head import Head
from watcher.ledger import Ledger
from watcher.look import look
from watcher.order import Order
from watcher.rollout import HostStage, HostState, Rollout, RolloutStage
from workers import steps
from workers.carry import Step, carry_out
from workers.fleet.roll import step as roll_step

AT_ONCE = 500


class Post:
    """Counts messages as a broker would have to carry them."""

    def __init__(self) -> None:
        self.sent: list[tuple[Order, str]] = []
        self.count: Counter[str] = Counter()

    def send(self, order: Order, id: str) -> None:
        self.sent.append((order, id))
        self.count[str(order)] += 1

    def nudge(self) -> None:
        self.count["look"] += 1


def rolled(hosts: int, directory: Path) -> tuple[float, float, Counter[str], int]:
    """Rolls one image out to so many hosts: seconds, seconds of CPU, messages by kind, and looks."""
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
    store, post, ledger = FakeStore(), Post(), Ledger(f"sqlite:///{directory}/ledger-{hosts}.db")
    old, new = made(store, "1"), made(store, "2")
    runs = service("shop", store.where)
    fleet = {f"h{n}": FakeHost(store, f"h{n}") for n in range(hosts)}
    for host in fleet.values():
        host.current = Slot(old, 0, runs, up=True)
        host.images = {old: ()}
    now = datetime.now(UTC)
    clock = [now]
    desk = Desk(settings, ledger, lambda: clock[0], post)
    ledger.add(Head(app="shop", surveyed_at=now), now)
    ledger.add(
        Rollout(id="shop:1", app="shop", generation=1, commit="c1", stage=RolloutStage.BUILT, image=new, wanted_at=now),
        now,
    )

    def roll(desk: Desk, state: HostState) -> HostState:
        rollout = desk.ledger.find(Rollout, id=state.rollout)
        assert rollout is not None
        return roll_step(state, rollout, fleet[state.host], runs, timedelta(minutes=2), desk.clock)

    usual = steps.step(Order.ROLL)
    step = Step(usual.read, usual.due, roll)
    began, cpu, looks = time.monotonic(), time.process_time(), 0
    while True:
        looks += 1
        look(desk)
        sent, post.sent = post.sent, []
        for order, id in sent:
            if order is Order.ROLL:
                carry_out(order, id, desk, step)
        clock[0] += timedelta(seconds=1)
        found = ledger.find(Rollout, id="shop:1")
        if found is None or not found.stage.is_open:
            break
    took = time.monotonic() - began, time.process_time() - cpu
    done = ledger.all(HostState, rollout="shop:1", stage=[HostStage.DONE])
    assert len(done) == hosts, f"{len(done)} of {hosts} hosts are done"
    ledger.close()
    return (*took, post.count, looks)


def main() -> None:
    """Prints a line for each size of fleet that was named (1,000 without), and what grows with it."""
    sizes = [int(argument) for argument in sys.argv[1:]] or [1_000]
    names = ("HOSTS", "SECONDS", "CPU s", "ms/HOST", "ORDERS/HOST", "NUDGES/HOST", "LOOKS", "MAX RSS")
    print(" ".join(f"{name:>{width}}" for name, width in zip(names, (6, 8, 7, 8, 11, 11, 5, 8), strict=True)))
    with tempfile.TemporaryDirectory(prefix="toplayer-bench-") as directory:
        for hosts in sizes:
            took, cpu, messages, looks = rolled(hosts, Path(directory))
            orders = messages.total() - messages["look"]
            most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"{hosts:>6} {took:>8.1f} {cpu:>7.1f} {1000 * took / hosts:>8.2f} {orders / hosts:>11.2f}"
                f" {messages['look'] / hosts:>11.2f} {looks:>5} {most:>5.0f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
