"""The kinds of hosts, each with a place to publish images to: what the contract of `Host` is tried on."""

import contextlib
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Protocol

from docker import APIClient
from docker.errors import DockerException

from tests.fakes.host import FakeHost
from tests.fakes.store import FakeStore
from tests.rig.engine import RealEngine
from tests.rig.image import busybox, layer, publish
from tests.rig.process import wait_for
from tests.rig.registry import Registry
from watcher.fleet import HostSettings
from watcher.image import Digest
from workers.fleet.host import Health, Host, OnItsWay, Proof, Service, Tell, silent
from workers.fleet.targets import connect
from workers.oci.layout import LayoutStore
from workers.oci.store import Store
from workers.oci.stores import open_store

RUNS = ("sh", "-c", "trap 'exit 0' TERM; echo it runs; while :; do sleep 0.05; done")
_COUNT = itertools.count(1)


class World(Protocol):
    """One host for one service, and the store that it pulls from."""

    service: Service

    @property
    def host(self) -> Host: ...

    @property
    def store(self) -> Store: ...

    def publish(self, version: str, *, healthy: bool = True) -> Digest:
        """Publishes an image of this version: a layer that all share, and one of its own."""
        ...

    def answers(self) -> str:
        """The version that is proven and runs, asked of the running thing itself; empty if nothing does."""
        ...


def made(store: Store, version: str, *, healthy: bool = True) -> Digest:
    """An image whose health command finds `ok` in the working directory, or does not. No other store has its layers."""
    own = {"app": None, "app/version": version} | ({"app/ok": f"fine in {version}"} if healthy else {})
    shared = busybox({"etc/hostname": store.where})
    return publish(store, [shared, layer(own)], Env=["PATH=/bin"], WorkingDir="/app", Cmd=list(RUNS))


LATER = timedelta(seconds=30)
"""After which nothing is starting any more."""


def proof_of(world: World, image: Digest) -> Proof:
    """The verdict on an image, waited for as a rollout does."""
    until = time.monotonic() + LATER.total_seconds()
    while (proof := world.host.prove(world.service, image, LATER)).health is Health.STARTING:
        if time.monotonic() > until or not isinstance(world, SwarmWorld):
            break
        time.sleep(0.1)
    return proof


def fetched(world: World, image: Digest) -> int:
    """The bytes that travelled until the image was there; asked for as a rollout does, who comes again."""
    return fetched_by(world.host, world.service, image)


def fetched_by(host: Host, service: Service, image: Digest, tell: Tell = silent) -> int:
    until = time.monotonic() + 2 * LATER.total_seconds()
    while time.monotonic() < until:
        with contextlib.suppress(OnItsWay):
            return host.fetch(service, image, tell)
        time.sleep(0.1)
    raise AssertionError(f"{image} did not come")


def deploy(world: World, image: Digest, generation: int) -> int:
    """The whole way of an image to a host; the bytes that travelled."""
    travelled = fetched(world, image)
    world.host.swap(world.service, image, generation)
    proof = proof_of(world, image)
    assert proof.health is Health.HEALTHY, proof.said
    world.host.settle(world.service, image)
    return travelled


def service(name: str, repository: str) -> Service:
    return Service(
        name=name,
        repository=repository,
        network="none",
        env={"TOKEN": "hunter2-hunter2"},
        secrets=("hunter2-hunter2",),
        stop_grace=timedelta(seconds=2),
        health_command=("sh", "-c", "cat ok"),
        health_timeout=timedelta(seconds=5),
    )


@dataclass
class FakeWorld:
    store: FakeStore = field(default_factory=FakeStore)

    def __post_init__(self) -> None:
        self.host = FakeHost(self.store)
        self.service = service("shop", self.store.where)
        self._versions: dict[Digest, str] = {}

    def publish(self, version: str, *, healthy: bool = True) -> Digest:
        image = made(self.store, version, healthy=healthy)
        self._versions[image] = version
        if not healthy:
            self.host.sick.add(image)
        return image

    def answers(self) -> str:
        current = self.host.current
        return self._versions[current.image] if current and current.up else ""


@dataclass
class DirWorld:
    host: Host
    store: Store
    service: Service
    root: Path

    def publish(self, version: str, *, healthy: bool = True) -> Digest:
        return made(self.store, version, healthy=healthy)

    def answers(self) -> str:
        path = self.root / "current" / "app" / "version"
        return path.read_text() if path.exists() else ""


@dataclass
class DockerWorld:
    host: Host
    store: Store
    service: Service
    engine: RealEngine

    def publish(self, version: str, *, healthy: bool = True) -> Digest:
        return made(self.store, version, healthy=healthy)

    def answers(self) -> str:
        with self.engine.api() as api:
            try:
                run = api.exec_create(self.container, ["cat", "version"])
                return str(api.exec_start(run["Id"]).decode())
            except DockerException:
                return ""

    @property
    def container(self) -> str:
        """What the proven container is called."""
        service = self.service
        return f"{service.project}-{service.project_service}-1" if service.project else service.name

    def containers(self) -> dict[str, str]:
        """The service's containers by what stands behind its name, and the states they are in."""
        return {found["Name"].removeprefix(f"/{self.service.name}"): found["State"]["Status"] for found in self._seen()}

    def restarts(self) -> dict[str, str]:
        """The restart policies of the same containers."""
        policies = {found["Name"]: found["HostConfig"]["RestartPolicy"]["Name"] for found in self._seen()}
        return {name.removeprefix(f"/{self.service.name}"): policy for name, policy in policies.items()}

    def kept(self) -> set[str]:
        """The images that the service keeps on the host, by their short digests."""
        with self.engine.api() as api:
            found = api.images(name=f"toplayer/{self.service.name}")
        return {tag.rpartition(":")[2] for row in found for tag in row["RepoTags"]}

    def _seen(self) -> list[dict[str, Any]]:
        """The service's containers, each inspected: the list itself is a moment behind from Docker 23 on."""
        with self.engine.api() as api:
            rows = api.containers(all=True, filters={"label": f"io.toplayer.service={self.service.name}"})
            return [api.inspect_container(row["Id"]) for row in rows]


@dataclass
class SwarmWorld:
    host: Host
    store: Store
    service: Service
    engine: RealEngine

    def publish(self, version: str, *, healthy: bool = True) -> Digest:
        return made(self.store, version, healthy=healthy)

    def answers(self) -> str:
        """Of the one task that there should be, once the swarm has come to rest."""
        with self.engine.api() as api:
            wait_for(lambda: self._rests(api), "the swarm to come to rest", 30)
            for row in self._rows(api):
                run = api.exec_create(row["Id"], ["cat", "version"])
                return str(api.exec_start(run["Id"]).decode())
        return ""

    def _rests(self, api: APIClient) -> bool:
        wanted = (
            api.inspect_service(self.service.name)["Spec"]["Mode"]["Replicated"]["Replicas"] if self._made(api) else 0
        )
        tasks = api.tasks({"service": self.service.name}) if self._made(api) else []
        up = [task for task in tasks if task["Status"]["State"] == "running"]
        return len(up) == wanted == len(self._rows(api)) and all(task["DesiredState"] == "running" for task in up)

    def _made(self, api: APIClient) -> bool:
        return bool(api.services({"name": self.service.name}))

    def _rows(self, api: APIClient) -> list[dict[str, Any]]:
        return list(api.containers(filters={"label": f"com.docker.swarm.service.name={self.service.name}"}))


@contextlib.contextmanager
def swarm_world(engine: RealEngine, registry: Registry) -> Iterator[SwarmWorld]:
    name = f"shop-{next(_COUNT)}"
    store = open_store(f"{registry.address}/{name}", {registry.address: registry.settings})
    with connect(HostSettings(name="h1", address=engine.address, target="swarm"), store) as host:
        known = replace(service(name, f"{registry.address}/{name}"), network="host")
        known = replace(known, steady=timedelta(seconds=1), within=timedelta(seconds=2))
        try:
            yield SwarmWorld(host, store, known, engine)
        finally:
            with engine.api() as api:
                for row in api.services({"name": name}):
                    api.remove_service(row["ID"])


@contextlib.contextmanager
def dir_world(directory: Path) -> Iterator[DirWorld]:
    store, root = LayoutStore(directory / "images"), directory / "host"
    with connect(HostSettings(name="h1", address=f"dir:{root}"), store) as host:
        yield DirWorld(host, store, service("shop", store.where), root)


@contextlib.contextmanager
def docker_world(
    engine: RealEngine, registry: Registry, target: Literal["docker", "compose"] = "docker"
) -> Iterator[DockerWorld]:
    name = f"shop-{next(_COUNT)}"
    repository = f"{registry.address}/{name}"
    store = open_store(repository, {registry.address: registry.settings})
    with connect(HostSettings(name="h1", address=engine.address, target=target), store) as host:
        try:
            known = service(name, repository)
            known = known if target == "docker" else replace(known, project=name, project_service="worker")
            yield DockerWorld(host, store, known, engine)
        finally:
            with engine.api() as api:
                for row in api.containers(all=True, filters={"label": f"io.toplayer.service={name}"}):
                    api.remove_container(row["Id"], force=True)
