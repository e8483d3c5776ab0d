"""The last rows of `make bench-rollout`: the same rollout by the service, a real Redis, two workers and two beats.

All of it is as it stands in production but the hosts: those are files, so that whichever process comes to one finds it
as the last one left it, and they answer at once.
"""

import contextlib
import os
import pickle
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.fakes.host import FakeHost, Slot
from tests.rig.redis import RealRedis, redis
from tests.rig.world import World, make_world
from tests.workers.fleet.worlds import made, service
from watcher.fleet import HostSettings
from watcher.head import Head
from watcher.image import Digest
from watcher.ledger import Ledger, utcnow
from watcher.rollout import HostStage, HostState, Rollout, RolloutStage
from workers.oci.layout import LayoutStore
from workers.oci.store import Store

AT_ONCE = 500
PRELUDE = "from bench.service import on_files\non_files()"
_KEPT = ("current", "next", "previous", "taken_back", "newest", "images", "received", "dropped", "started")


def on_files() -> None:
    """From now on the hosts of this process are files."""
    from workers.fleet import targets

    targets.TARGETS = {**targets.TARGETS, "dir": connect}


@contextlib.contextmanager
def connect(settings: HostSettings, store: Store) -> Iterator[FakeHost]:
    """The host as the last process left it."""
    path, host = Path(settings.address.removeprefix("dir:")), FakeHost(store, settings.name)
    vars(host).update(pickle.loads(path.read_bytes()))
    yield host
    _keep(host, path)


def _keep(host: FakeHost, path: Path) -> None:
    new = path.with_suffix(f".{os.getpid()}-{time.monotonic_ns()}")
    new.write_bytes(pickle.dumps({name: getattr(host, name) for name in _KEPT}))
    new.replace(path)


def rolled(hosts: int, root: Path, broker: RealRedis) -> tuple[float, float]:
    """Rolls one image out to so many hosts: seconds, and messages per host."""
    world = make_world(root / "world", {"requirements.txt": ""})
    images = LayoutStore(root / "world" / "images")
    old, new = made(images, "1"), made(images, "2")
    for n in range(hosts):
        _keep(_runs(images, old), root / f"h{n}")
    world.prelude = PRELUDE
    world.configure(
        {f"h{n}": f"dir:{root}/h{n}" for n in range(hosts)},
        app={"survey": "30d"},
        service={"broker": broker.url, "look": "1s"},
        fleet={"waves": [1, "5%", "25%", "100%"], "at_once": AT_ONCE},
    )
    (world.root / "state").mkdir()
    ledger = Ledger(world.ledger_url)
    ledger.add(Head(app="shop", surveyed_at=utcnow()), utcnow())
    with _service(world):
        sent, began = broker.sent(), time.monotonic()
        built = RolloutStage.BUILT
        ledger.add(
            Rollout(id="shop:1", app="shop", generation=1, commit="c1", stage=built, image=new, wanted_at=utcnow()),
            utcnow(),
        )
        while (found := ledger.find(Rollout, id="shop:1")) is not None and found.stage.is_open:
            time.sleep(0.5)
        took, messages = time.monotonic() - began, broker.sent() - sent
    done = ledger.all(HostState, rollout="shop:1", stage=[HostStage.DONE])
    assert len(done) == hosts, f"{len(done)} of {hosts} hosts are done"
    ledger.close()
    return took, messages / hosts


def _runs(store: Store, image: Digest) -> FakeHost:
    host = FakeHost(store)
    host.current, host.images = Slot(image, 0, service("shop", store.where), up=True), {image: ()}
    return host


@contextlib.contextmanager
def _service(world: World) -> Iterator[None]:
    words = [("worker", "-c", "4"), ("worker", "-c", "4"), ("beat",), ("beat",)]
    running: list[subprocess.Popen[bytes]] = []
    try:
        for one in words:
            with (world.root / f"{one[0]}-{len(running)}.log").open("wb") as log:
                argv, env = world.command(*one), world.environment
                running.append(subprocess.Popen(argv, env=env, cwd=world.root, stdout=log, stderr=log))
        yield
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait(60)


def main() -> None:
    """Prints a line for each size of fleet that was named; for 1,000 and 10,000 hosts without."""
    print(f"\n{'HOSTS':>6} {'SECONDS':>8} {'CPU s':>7} {'ms/HOST':>8} {'MESSAGES/HOST':>14} {'MAX RSS':>8}")
    for hosts in [int(argument) for argument in sys.argv[1:]] or [1_000, 10_000]:
        with tempfile.TemporaryDirectory(prefix="toplayer-bench-") as root, redis(Path(root) / "redis") as broker:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            took, messages = rolled(hosts, Path(root), broker)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        most = after.ru_maxrss / 1024
        print(f"{hosts:>6} {took:>8.1f} {cpu:>7.1f} {1000 * cpu / hosts:>8.2f} {messages:>14.2f} {most:>5.0f} MB")


if __name__ == "__main__":
    main()
