"""`make bench-rollout`, the first part (as root): one bump to four real hosts, each behind a link of 2 Mbit/s.

Real engines, spoken to over their links, a real registry, and a container that answers over HTTP. toplayer, as one
process with its ledger, beside what people do instead: a shell loop of `docker compose pull && docker compose up -d`,
and watchtower's steps, as if by it. A probe on each host asks every twentieth of a second whether any container of the
service answers.
"""

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from docker import APIClient

from bench.dockerfile import shaping
from tests.rig.base_image import base_image
from tests.rig.compose import Project
from tests.rig.engine import EVERYWHERE, RealEngine, engine
from tests.rig.fleet import address
from tests.rig.image import busybox, layer, publish
from tests.rig.registry import Registry, registry
from tests.rig.world import rows_of
from watcher import config
from watcher.desk import Desk
from watcher.head import Head
from watcher.image import Digest
from watcher.ledger import Ledger, utcnow
from watcher.order import Order
from watcher.rollout import Rollout, RolloutStage
from workers import embedded
from workers.fleet.image import read_manifest
from workers.oci.manifest import Manifest
from workers.oci.store import Store
from workers.oci.stores import open_store
from workers.steps import carry

HOSTS = 4
TOP = 2_000_000
"""Bytes of the layer that a bump brings, and that cannot be compressed."""
SERVE = "trap 'exit 0' TERM; busybox httpd -p 8080 -h /www; while :; do sleep 60 & wait $!; done"
ASK = ["busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:8080/version"]
PROBE = """
import http.client, sys, threading, time
answered = []
def ask(address):
    while True:
        began = time.monotonic()
        try:
            there = http.client.HTTPConnection(address, 8080, timeout=0.3)
            there.request("GET", "/version")
            if there.getresponse().read():
                answered.append(time.monotonic())
            there.close()
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(max(0, 0.05 - time.monotonic() + began))
for n in range(2, 7):
    threading.Thread(target=ask, args=(f"172.31.255.{n}",), daemon=True).start()
while not answered:
    time.sleep(0.01)
began = time.monotonic()
print("ready", flush=True)
sys.stdin.read()
times = [began, *sorted(at for at in answered if at > began), time.monotonic()]
print(sum(b - a for a, b in zip(times, times[1:]) if b - a > 0.5))
"""


@dataclass
class Fleet:
    """The hosts, and the images that their registry has. `bump` is the number of the newest."""

    root: Path
    registry: Registry
    store: Store
    repository: str
    puller: str
    hosts: list[RealEngine]
    bump: int = 0
    images: list[Digest] = field(default_factory=list)

    def release(self) -> Digest:
        """A new image: of its three layers only the top one is another than before."""
        self.bump += 1
        rows = [busybox(), layer({"opt": None, "opt/below": _noise(0)}), layer(_top(self.bump))]
        image = publish(self.store, rows, tag="latest", Env=["PATH=/bin"], Cmd=["sh", "-c", SERVE])
        self.images.append(image)
        return image

    def missing(self) -> int:
        """The bytes that a host with the image before lacks of the newest."""
        manifest = Manifest.parse(read_manifest(self.store, self.images[-1]), "")
        return len(manifest.raw) + manifest.config.size + manifest.layers[-1].size

    def pulled(self) -> int:
        """Bytes that engines, and nobody else, have got from the registry."""
        rows = [row for row in self.registry.seen() if row.method == "GET" and row.agent.startswith("docker/")]
        return sum(row.written for row in rows if "/blobs/" in row.uri or "/manifests/" in row.uri)


def _noise(seed: int) -> bytes:
    import random

    return random.Random(seed).randbytes(TOP)


def _top(bump: int) -> dict[str, str | bytes | None]:
    return {"www": None, "www/version": str(bump), "opt": None, "opt/top": _noise(bump)}


@dataclass
class Row:
    """What one way took: seconds until the last host ran the new image, bytes over what was missing, and downtime."""

    way: str
    seconds: float
    ratio: float
    down: list[float]


@contextlib.contextmanager
def probed(fleet: Fleet) -> Iterator[list[float]]:
    """The seconds in which nothing answered on each host, once the block has ended."""
    found: list[float] = []
    probes = [
        subprocess.Popen(
            ["nsenter", f"--net=/proc/{host.pid}/ns/net", sys.executable, "-c", PROBE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for host in fleet.hosts
    ]
    for probe in probes:
        assert probe.stdout is not None
        assert probe.stdout.readline() == "ready\n"
    try:
        yield found
    finally:
        found += [float(probe.communicate()[0]) for probe in probes]


def measured(fleet: Fleet, way: str, begin: Callable[[], object], bump: Callable[[Digest], object]) -> Row:
    """Lays the image before with `begin`, whose bytes do not count, and brings the next one with `bump`."""
    for host in fleet.hosts:
        host.clear()
    fleet.release()
    begin()
    image = fleet.release()
    before = fleet.pulled()
    with probed(fleet) as down, shaping(fleet.hosts):
        began = time.monotonic()
        bump(image)
        took = time.monotonic() - began
        time.sleep(1)
    for host in fleet.hosts:
        with host.api() as api:
            (one,) = api.containers()
            made = api.exec_create(one["Id"], ["cat", "/www/version"])
            said: bytes = api.exec_start(made["Id"])
            assert said.decode() == str(fleet.bump), way
    return Row(way, took, (fleet.pulled() - before) / HOSTS / fleet.missing(), down)


def everywhere(fleet: Fleet, do: Callable[[RealEngine], object]) -> None:
    with ThreadPoolExecutor(HOSTS) as pool:
        list(pool.map(do, fleet.hosts))


# --- toplayer ---


class Controller:
    """toplayer as a process of its own, on a ledger that outlives it."""

    def __init__(self, fleet: Fleet, order: str, puller: str, fetch: str) -> None:
        self._fleet, self._root = fleet, Path(tempfile.mkdtemp(dir=fleet.root))
        rows = "\n".join(
            f"[[fleets.ff.hosts]]\n{rows_of({'name': f'h{n}', **host.settings()})}"
            for n, host in enumerate(fleet.hosts)
        )
        self._config = self._root / "toplayer.toml"
        self._config.write_text(
            f"""
            [toplayer]
            state = "{self._root}"
            look = "200ms"
            workers = 8
            [registries."{fleet.registry.address}"]
            plain_http = true
            [apps.shop]
            repository = "/nowhere"
            lock = "requirements.txt"
            fleet = "ff"
            image = {{ repository = "{fleet.repository}", python = "3.11" }}
            run = {{ order = "{order}", health = {{ command = {json.dumps(ASK)} }} }}
            [fleets.ff]
            waves = [1, "100%"]
            at_once = {HOSTS}
            fetch = "{fetch}"
            puller = "{puller}"
            drift = "ignore"
            {rows}
            """
        )
        self.settings = config.load(self._config)
        self.ledger = Ledger(self.settings.ledger_url)
        self.ledger.add(Head(app="shop", surveyed_at=utcnow()), utcnow())
        self._process: subprocess.Popen[str] | None = None
        self._generation = 0

    def start(self) -> None:
        argv = [sys.executable, "-m", "bench.links", "controller", str(self._config)]
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def end(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait()

    def roll(self, image: Digest, killed_after: float = 0.0) -> None:
        """Brings the image to every host; the controller is killed on the way, and started again, if wished."""
        self._generation += 1
        now, id = utcnow(), Rollout.id_of("shop", self._generation)
        built = RolloutStage.BUILT
        self.ledger.add(
            Rollout(id=id, app="shop", generation=self._generation, commit=id, stage=built, image=image, wanted_at=now),
            now,
        )
        if killed_after:
            time.sleep(killed_after)
            self.end(signal.SIGKILL)
            time.sleep(1)
            self.start()
        while (found := self.ledger.find(Rollout, id=id)) is not None and found.stage.is_open:
            time.sleep(0.1)
        assert found is not None
        assert found.stage is RolloutStage.DONE, found.reason


def controller(path: str) -> None:
    """The process: looks and works until it is ended."""
    settings = config.load(Path(path))
    ledger, stop = Ledger(settings.ledger_url), threading.Event()
    desk, threads = embedded.open_desk(settings, ledger, _only_rolls, utcnow)

    def end(_signal: int, _frame: object) -> None:
        stop.set()
        threads.nudge()

    signal.signal(signal.SIGTERM, end)
    print("ready", flush=True)
    embedded.serve(desk, threads, stop)
    threads.close()


def _only_rolls(order: Order, id: str, desk: Desk) -> bool:
    # There is no repository to survey and no index to poll.
    return order is Order.ROLL and carry(order, id, desk)


def by_toplayer(fleet: Fleet, way: str, order: str, puller: str, fetch: str, killed_after: float = 0.0) -> Row:
    ours = Controller(fleet, order, puller, fetch)
    ours.start()
    try:
        return measured(fleet, way, lambda: ours.roll(fleet.images[-1]), lambda image: ours.roll(image, killed_after))
    finally:
        ours.end(signal.SIGTERM)
        ours.ledger.close()


# --- what people do instead ---


def by_compose(fleet: Fleet) -> Row:
    """`for host in …; do docker compose pull && docker compose up -d; done`."""
    projects = []
    for n, host in enumerate(fleet.hosts):
        home = fleet.root / f"compose-{n}"
        home.mkdir()
        (home / "compose.yaml").write_text(json.dumps({"services": {"shop": _service(fleet)}}))
        projects.append(Project(host, home, f"shop{n}"))

    def loop() -> None:
        for project in projects:
            project.run("pull", "-q")
            project.run("up", "-d")

    row = measured(fleet, "docker compose pull && up -d, in a loop", loop, lambda _: loop())
    for project in projects:
        project.run("down")
    return row


def _service(fleet: Fleet) -> dict[str, str]:
    return {"image": f"{fleet.repository}:latest", "network_mode": "bridge", "restart": "unless-stopped"}


def by_steps(fleet: Fleet, way: str, *, pull_first: bool) -> Row:
    """The container by hand: what watchtower does on each host by itself, so on all of them at once."""

    def begin(host: RealEngine) -> None:
        with host.api() as api:
            api.pull(fleet.repository, tag="latest")
            _run(api, fleet)

    def bump(host: RealEngine) -> None:
        with host.api() as api:
            if pull_first:
                api.pull(fleet.repository, tag="latest")
            api.stop("shop")
            api.remove_container("shop")
            if not pull_first:
                api.pull(fleet.repository, tag="latest")
            _run(api, fleet)

    return measured(fleet, way, lambda: everywhere(fleet, begin), lambda _: everywhere(fleet, bump))


def _run(api: APIClient, fleet: Fleet) -> None:
    made = api.create_container(f"{fleet.repository}:latest", name="shop")
    api.start(made["Id"])


# --- the table ---


def main() -> None:
    """Prints a line for each way, or for those whose numbers (from 0) were named."""
    if sys.argv[1:2] == ["controller"]:
        controller(sys.argv[2])
        return
    with contextlib.ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="toplayer-bench-")))
        stack.enter_context(address())
        real = stack.enter_context(registry(root / "registry", listen=EVERYWHERE))
        repository = f"{real.address}/shop"
        store = open_store(repository, {real.address: real.settings})
        puller = f"{real.address}/python:latest"
        base_image().copied_to(open_store(f"{real.address}/python", {real.address: real.settings}))
        hosts = [stack.enter_context(engine(networks=True, tls=True)) for _ in range(HOSTS)]
        fleet = Fleet(root, real, store, repository, puller, hosts)
        print(f"{'':<48} {'SECONDS':>8} {'BYTES':>7} {'NOTHING ANSWERED, s':>22}", flush=True)
        ways: list[Callable[[], Row]] = [
            partial(by_toplayer, fleet, "toplayer, start-first", "start-first", puller, "in turn"),
            partial(by_toplayer, fleet, "toplayer, stop-first", "stop-first", puller, "in turn"),
            partial(by_toplayer, fleet, 'toplayer, stop-first, fetch = "ahead"', "stop-first", puller, "ahead"),
            partial(by_toplayer, fleet, "the same, SIGKILL amid the pulls", "stop-first", puller, "ahead", 6),
            partial(by_toplayer, fleet, "the same, SIGKILL, no `puller`", "stop-first", "", "ahead", 6),
            partial(by_compose, fleet),
            partial(by_steps, fleet, "pull, stop, remove, create, start", pull_first=True),
            partial(by_steps, fleet, "stop, remove, pull, create, start", pull_first=False),
        ]
        for number in map(int, sys.argv[1:] or range(len(ways))):
            row = ways[number]()
            down = f"{max(row.down):.1f}" if max(row.down) else "0"
            print(f"{row.way:<48} {row.seconds:>8.1f} {row.ratio:>6.2f}× {down:>22}", flush=True)


if __name__ == "__main__":
    main()
