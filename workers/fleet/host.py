"""A host, seen from a worker: what it runs, and the moves of a swap. One file per kind of target implements it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol

from watcher.errors import Refused, Temporary
from watcher.image import Digest
from watcher.machine import Takes

Tell = Callable[[int, int], None]
"""Hears, while bytes travel, how many have, and how many are known to."""


def silent(_gone: int, _known: int) -> None:
    """Hears it and says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a host is to run: our own specification, and the place its image comes from.

    `repository` is where the host pulls from; `env` has its secrets filled in, and is never logged or stored, and what
    a probe or a container said is shown without the values in `secrets`. `username` and `password` are for that
    registry, whose address is `registry` and whose authority's certificate lies at `ca`. `memory` is in bytes. With a
    `health_command` it decides what is healthy (it asks `health_url`, if that is named), else the image's own
    HEALTHCHECK if it has one; it has to be well `within` some time, and to run for `steady` without a restart.
    `puller` is the image of the helper that pulls on the host; without one, the connection of the worker is the pull's.
    `patience` is how long the bytes may stand still on their way, and `keep` how many images a host keeps besides the
    one that it runs.

    `engine` is what an engine is told besides, in its own words. `adopts` is a container of somebody else's that may be
    replaced; `project` and `project_service` are Compose's names, `replicas` and `parallelism` are for swarms.
    """

    name: str
    repository: str
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    volumes: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    network: str = ""
    networks: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    addresses: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    engine: Mapping[str, Any] = field(default_factory=dict)
    tmpfs: tuple[str, ...] = ()
    read_only: bool = False
    init: bool = False
    memory: int | None = None
    cpus: float | None = None
    pids: int | None = None
    restart: str = "unless-stopped"
    order: str = "stop-first"
    stop_signal: str = ""
    stop_grace: timedelta = timedelta(seconds=10)
    health_command: tuple[str, ...] = ()
    health_timeout: timedelta = timedelta(seconds=30)
    health_url: str = ""
    steady: timedelta = timedelta(seconds=5)
    within: timedelta = timedelta(minutes=2)
    registry: str = ""
    ca: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    puller: str = ""
    patience: timedelta = timedelta(minutes=15)
    keep: int = 1
    adopts: str = ""
    project: str = ""
    project_service: str = ""
    replicas: int = 1
    parallelism: int = 1


class Health(StrEnum):
    """What a proof has to say. `starting` may still become one of the other two; they do not change by waiting."""

    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class Proof:
    """The health of what runs, and why: the last lines of the probe, and of the container's `log` where it matters.

    `restarts` is how often it has been started again by itself, which a service can do and look well in between.
    """

    health: Health
    said: str = ""
    restarts: int = 0
    log: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    """What a host runs for a service: the digest of its image (None: nothing), and the generation that put it there.

    `differs` says what of it is not as the service's specification of today says; it is empty if all is.
    """

    image: Digest | None
    generation: int = 0
    differs: str = ""


OTHERWISE = "was started from another specification than the settings have now"
"""What `differs` if the settings were changed since."""
SOMEBODYS = "was made by somebody else"
"""What `differs` if toplayer did not start it; its place is ours for all that."""


class Host(Protocol):
    """One host. Every move is safe to repeat, and safe to take up where a killed process left it.

    The moves raise an error of this file, or what the image's store raises, and nothing else. All of them say who must
    act: `Temporary` (nobody: try again) or `Refused` (a person).
    """

    def takes(self) -> Takes:
        """What the host takes, by its own word."""
        ...

    def running(self, service: Service) -> Running:
        """What is proven and runs, or should. A swap that was begun and not settled counts as what ran before it."""
        ...

    def fetch(self, service: Service, image: Digest, tell: Tell = silent) -> int:
        """Brings the image to the host; the bytes that really travelled (0 if it was all there).

        `OnItsWay` while the host brings it to itself: then nobody has to wait for it. A `HostRefused` if the host's
        disk has no room for it, before any byte travels, where that can be known.
        """
        ...

    def swap(self, service: Service, image: Digest, generation: int) -> None:
        """Starts the image, in place of what runs or beside it. What runs is kept until `settle`.

        `Fenced` if a newer generation was at work here, or if this generation was taken back from the host.
        """
        ...

    def prove(self, service: Service, image: Digest, elapsed: timedelta) -> Proof:
        """The health of the image, `elapsed` after it was swapped in, by the service's own rules; waits for nothing."""
        ...

    def settle(self, service: Service, image: Digest) -> None:
        """The image is proven: it is what runs now. What ran before goes away, and old images beyond those to keep."""
        ...

    def back(self, service: Service, image: Digest | None, generation: int) -> None:
        """Takes `generation` back: the host runs `image` again (None: nothing), what is still there of it if possible.

        `Fenced` if a newer generation was at work here. `OnItsWay` as in `fetch`, if it has to come once more.
        """
        ...


class HostUnreachable(Temporary):
    """The host did not answer in time."""

    def __init__(self, host: str, why: str) -> None:
        self.host, self.why = host, why
        super().__init__(host, why)

    def __str__(self) -> str:
        return f"{self.host} did not answer: {self.why}"


class HostBusy(Temporary):
    """The host answered that it cannot now: somebody else is at work on it, or its pull was interrupted."""

    def __init__(self, host: str, why: str) -> None:
        self.host, self.why = host, why
        super().__init__(host, why)

    def __str__(self) -> str:
        return f"{self.host} cannot do it now: {self.why}"


class OnItsWay(Temporary):
    """The host itself is bringing the image, and goes on whoever listens: ask again in a while.

    It has `gone` bytes of `known`; more may become known on the way.
    """

    def __init__(self, host: str, image: Digest, gone: int = 0, known: int = 0) -> None:
        self.host, self.image, self.gone, self.known = host, image, gone, known
        super().__init__(host, image, gone, known)

    def __str__(self) -> str:
        return f"{self.image.short} is on its way to {self.host}"


class HostRefused(Refused):
    """The host answered no: a missing image, a port that is taken, a full disk, a command that cannot start."""

    def __init__(self, host: str, why: str, hint: str = "") -> None:
        self.host, self.why, self.hint = host, why, hint
        super().__init__(host, why, hint)

    def __str__(self) -> str:
        return f"{self.host}: {self.why}"


class Fenced(Refused):
    """This step is from the past: a `newer` generation was at work on the host, or this very one was taken back."""

    hint = "if the ledger was lost and starts again from 1: `toplayer retry APP` goes on above what the host has seen"

    def __init__(self, host: str, generation: int, newer: int) -> None:
        self.host, self.generation, self.newer = host, generation, newer
        super().__init__(host, generation, newer)

    def __str__(self) -> str:
        if self.newer == self.generation:
            return f"generation {self.generation} was taken back from {self.host} and does not come again"
        return (
            f"{self.host} already belongs to generation {self.newer}; generation {self.generation} keeps its hands off"
        )
