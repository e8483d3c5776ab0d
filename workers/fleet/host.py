"""A host, seen from a worker: what it runs, and the five moves of a swap. One file per kind of target implements it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from watcher.errors import Refused, Temporary
from watcher.image import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a host is to run: our own specification, and the place its image comes from.

    `repository` is where the host pulls from; `env` has its secrets filled in, and is never logged or stored.
    `username` and `password` are for that registry.
    """

    name: str
    repository: str
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    volumes: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    network: str = ""
    restart: str = "unless-stopped"
    order: str = "stop-first"
    stop_signal: str = ""
    stop_grace: timedelta = timedelta(seconds=10)
    health_command: tuple[str, ...] = ()
    health_timeout: timedelta = timedelta(seconds=30)
    steady: timedelta = timedelta(seconds=5)
    username: str = ""
    password: str = field(default="", repr=False)


class Health(StrEnum):
    """What a proof has to say."""

    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class Proof:
    """The health of what runs, and why: the last lines of the probe or of the container's log."""

    health: Health
    said: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    """What a host runs for a service: the digest of its image (None: nothing), and the generation that put it there."""

    image: Digest | None
    generation: int


class Host(Protocol):
    """One host. Every move is safe to repeat, and safe to take up where a killed process left it.

    The moves raise `HostUnreachable` (try again), `Fenced` (a newer generation is at work) or `HostRefused` (a person
    has to act), and nothing else.
    """

    def running(self, service: Service) -> Running:
        """What runs now. A swap that was begun and not proven counts as what ran before it."""
        ...

    def fetch(self, service: Service, image: Digest) -> int:
        """Brings the image to the host; the bytes that really travelled (0 if it was all there)."""
        ...

    def swap(self, service: Service, image: Digest, generation: int) -> None:
        """Starts the image in place of what runs, which is kept aside until `settle`."""
        ...

    def prove(self, service: Service, image: Digest, elapsed: timedelta) -> Proof:
        """The health of the image, `elapsed` after it was swapped in, by the service's own rules; waits for nothing."""
        ...

    def settle(self, service: Service, image: Digest) -> None:
        """The new image is proven: what was kept aside goes away; old images beyond the last one, too."""
        ...

    def back(self, service: Service, image: Digest | None, generation: int) -> None:
        """Puts the host back to `image` (None: to nothing): what was kept aside if it is still there, else a swap."""
        ...


class HostUnreachable(Temporary):
    """The host did not answer in time."""

    def __init__(self, host: str, why: str) -> None:
        self.host, self.why = host, why
        super().__init__(host, why)

    def __str__(self) -> str:
        return f"{self.host} did not answer: {self.why}"


class HostRefused(Refused):
    """The host answered no: a missing image, a port that is taken, a full disk, a command that cannot start."""

    def __init__(self, host: str, why: str, hint: str = "") -> None:
        self.host, self.why, self.hint = host, why, hint
        super().__init__(host, why, hint)

    def __str__(self) -> str:
        return f"{self.host}: {self.why}"


class Fenced(Refused):
    """A newer generation has been at work on the host: this step is from the past."""

    def __init__(self, host: str, generation: int, newer: int) -> None:
        self.host, self.generation, self.newer = host, generation, newer
        super().__init__(host, generation, newer)

    def __str__(self) -> str:
        return (
            f"{self.host} already belongs to generation {self.newer}; generation {self.generation} keeps its hands off"
        )
