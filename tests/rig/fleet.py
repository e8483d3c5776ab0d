"""A fleet of real parts: engines in networks of their own behind links, a registry, Redis, workers, beats, an sshd."""

import contextlib
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.rig.base_image import base_image
from tests.rig.engine import EVERYWHERE, RealEngine, engine
from tests.rig.image import busybox, layer, publish
from tests.rig.process import wait_for
from tests.rig.redis import RealRedis, redis
from tests.rig.registry import Registry, registry
from tests.rig.sshd import Sshd, sshd
from tests.rig.world import World, make_world
from watcher.head import Head
from watcher.image import Digest
from watcher.ledger import Ledger, utcnow
from watcher.rollout import HostState, Rollout, RolloutStage
from workers.fleet.image import read_manifest
from workers.oci.manifest import Descriptor, Manifest
from workers.oci.store import Store
from workers.oci.stores import open_store

HOSTS, BY_TCP = 4, 2
SERVE = "trap 'exit 0' TERM; while :; do sleep 60 & wait $!; done"
_ENV = dict(os.environ, PATH=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


@contextlib.contextmanager
def address() -> Iterator[None]:
    """This machine has the address EVERYWHERE while the block lasts, and stays as it was if it had it."""
    argv = ["ip", "addr", "add", f"{EVERYWHERE}/32", "dev", "lo"]
    mine = subprocess.run(argv, capture_output=True, env=_ENV).returncode == 0
    try:
        yield
    finally:
        if mine:
            subprocess.run(["ip", "addr", "del", f"{EVERYWHERE}/32", "dev", "lo"], env=_ENV)


@contextlib.contextmanager
def slow(host: RealEngine, rate: str) -> Iterator[str]:
    """The host's link has this rate (of `tc`) while the block lasts; the name of its device."""
    assert host.link is not None
    link = host.link.device
    shape = ["root", "tbf", "rate", rate, "burst", "64kb", "latency", "400ms"]
    subprocess.run(["tc", "qdisc", "add", "dev", link, *shape], check=True, env=_ENV)
    try:
        yield link
    finally:
        subprocess.run(["tc", "qdisc", "del", "dev", link, "root"], check=True, env=_ENV)


def crossed(host: RealEngine) -> int:
    """Bytes that went over the host's link so far, both ways, whoever's they were."""
    assert host.link is not None
    return host.link.crossed()


def cut(link: str, *, down: bool) -> None:
    """Pulls the plug of a link, or puts it back."""
    subprocess.run(["ip", "link", "set", link, "down" if down else "up"], check=True, env=_ENV)


@dataclass
class Parts:
    """What lasts for all tests."""

    hosts: list[RealEngine]
    registry: Registry
    sshd: Sshd
    broker: RealRedis
    puller: str
    count: int = 0


@contextlib.contextmanager
def parts(root: Path) -> Iterator[Parts]:
    """Four engines, of which the first two are reached by TCP, the last by SSH, each over its link; what they need."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(address())
        hosts = [stack.enter_context(engine(networks=True, tls=n < BY_TCP)) for n in range(HOSTS)]
        images = stack.enter_context(registry(root / "registry", listen=EVERYWHERE))
        python = f"{images.address}/python"
        base_image().copied_to(open_store(python, {images.address: images.settings}))
        made = Parts(
            hosts,
            images,
            stack.enter_context(sshd(root / "sshd", link=hosts[-1].link)),
            stack.enter_context(redis(root / "redis")),
            f"{python}:latest",
        )
        yield made


@dataclass
class Fleet:
    """One installation on these parts, whose processes can be killed. It rolls images out that nobody built."""

    world: World
    parts: Parts
    repository: str
    ledger: Ledger
    service: Sequence[Sequence[str]]
    images: list[Digest] = field(default_factory=list)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        """Starts all processes of the service."""
        for words in self.service:
            with (self.world.root / f"{words[0]}-{time.monotonic_ns()}.log").open("wb") as log:
                self.processes.append(
                    subprocess.Popen(
                        self.world.command(*words),
                        env=self.world.environment,
                        cwd=self.world.root,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )

    def kill(self) -> None:
        """SIGKILL to all of them, and to their children."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.processes.clear()

    def release(self, *, files: Mapping[str, str] | None = None, command: str = SERVE, large: int = 1_000) -> Digest:
        """A new image, whose top layer has `large` bytes that cannot be compressed."""
        number = len(self.images) + 1
        noise = random.Random(f"{self.repository} {number}").randbytes(large)
        own = {"app": None, "app/noise": noise, "app/version": str(number)} | ({"app/ok": ""} if files is None else {})
        rows = [busybox(), layer({**own, **(files or {})})]
        self.images.append(publish(self._store, rows, Env=["PATH=/bin"], WorkingDir="/app", Cmd=["sh", "-c", command]))
        return self.images[-1]

    def order(self, image: Digest) -> str:
        """A rollout that is built: the service takes it from here. Its id."""
        generation, now = len(self.ledger.all(Rollout)) + 1, utcnow()
        id = Rollout.id_of("shop", generation)
        built = RolloutStage.BUILT
        self.ledger.add(
            Rollout(id=id, app="shop", generation=generation, commit=id, stage=built, image=image, wanted_at=now), now
        )
        return id

    def stage(self, id: str) -> RolloutStage:
        found = self.ledger.find(Rollout, id=id)
        assert found is not None
        return found.stage

    def ends(self, id: str, stage: RolloutStage = RolloutStage.DONE, within: float = 120.0) -> Rollout:
        """Waits for the rollout's end, which has to be this one."""
        try:
            wait_for(lambda: not self.stage(id).is_open, f"the end of {id}", within)
        except AssertionError as error:
            stages = {name: (str(state.stage), state.reason) for name, state in self.states(id).items()}
            raise AssertionError(f"{error}: {self.ledger.find(Rollout, id=id)}, {stages}") from None
        found = self.ledger.find(Rollout, id=id)
        assert found is not None
        assert found.stage is stage, f"{id} is {found.stage}: {found.reason}"
        return found

    def deploy(self, image: Digest) -> str:
        id = self.order(image)
        self.ends(id)
        return id

    def states(self, id: str) -> dict[str, HostState]:
        return {state.host: state for state in self.ledger.all(HostState, rollout=id)}

    def standing(self, host: RealEngine) -> dict[str, str]:
        """The containers of a host by name, and what they are: `up VERSION` or `down`."""
        found = {}
        with host.api() as api:
            for row in api.containers(all=True):
                said = "down"
                if row["State"] == "running":
                    run = api.exec_create(row["Id"], ["cat", "/app/version"])
                    said = f"up {api.exec_start(run['Id']).decode()}"
                found[row["Names"][0].lstrip("/")] = said
        return found

    def pulled(self, image: Digest) -> int:
        """Bytes of the image's top layer that left the registry."""
        rows = [row for row in self.parts.registry.seen() if row.method == "GET" and row.agent.startswith("docker/")]
        return sum(row.written for row in rows if self._top(image).digest in row.uri)

    def size(self, image: Digest) -> int:
        """Bytes of the image's top layer."""
        return self._top(image).size

    def _top(self, image: Digest) -> Descriptor:
        return Manifest.parse(read_manifest(self._store, image), self._store.where).layers[-1]

    @property
    def _store(self) -> Store:
        return open_store(self.repository, {self.parts.registry.address: self.parts.registry.settings})


@contextlib.contextmanager
def fleet(
    root: Path, parts: Parts, *, run: Mapping[str, Any] | None = None, broker: bool = True, **settings: Any
) -> Iterator[Fleet]:
    """An installation until the block ends: two workers and two beats, or without a broker two embedded services."""
    parts.count += 1
    world, name = make_world(root / "world", {"requirements.txt": ""}), f"shop{parts.count}"
    repository = f"{parts.registry.address}/{name}"
    key = {"key": str(parts.sshd.settings.key), "known_hosts": str(parts.sshd.settings.known_hosts)}
    socket = parts.hosts[-1].address.removeprefix("unix://")
    hosts = {f"h{n}": host.settings() for n, host in enumerate(parts.hosts, 1)}
    world.configure(
        {**hosts, f"h{HOSTS}": {"address": parts.sshd.address + socket, "ssh": key}},
        image={"repository": repository},
        app={"survey": "30d"},
        run={"stop_grace": "10s", "order": "start-first", **(run or {})},
        health=("cat", "/app/ok"),
        service={"look": "500ms", **({"broker": parts.broker.url} if broker else {})},
        fleet={"at_once": 4, "puller": parts.puller, **settings},
        more=f'[registries."{parts.registry.address}"]\nplain_http = true\n',
    )
    (world.root / "state").mkdir()
    ledger = Ledger(world.ledger_url)
    ledger.add(Head(app="shop", surveyed_at=utcnow()), utcnow())
    words = [("worker", "-c", "2"), ("worker", "-c", "2"), ("beat",), ("beat",)] if broker else [("serve",), ("serve",)]
    made = Fleet(world, parts, repository, ledger, words)
    for host in parts.hosts:
        host.clear()
    made.start()
    try:
        yield made
    finally:
        made.kill()
        ledger.close()


@contextlib.contextmanager
def serving(hosts: Sequence[RealEngine]) -> Iterator[list[str]]:
    """Looks without a break whether any container of a service is up; when none was, that is in the list."""
    gone: list[str] = []
    over = threading.Event()

    def look(host: RealEngine) -> None:
        with host.api() as api:
            while not over.wait(0.05):
                up = [row for row in api.containers() if row["Labels"].get("io.toplayer.service")]
                if not up:
                    gone.append(f"{host.address} at {time.monotonic()}")

    threads = [threading.Thread(target=look, args=(host,), daemon=True) for host in hosts]
    for thread in threads:
        thread.start()
    try:
        yield gone
    finally:
        over.set()
        for thread in threads:
            thread.join()
