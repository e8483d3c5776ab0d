"""The settings of fleets: what a host runs, how it is reached, and how careful a rollout is."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from watcher.decide import Plan
from watcher.fields import Absolute, Duration, Model, Name, Port, Volume, matching
from watcher.secret import Secret
from watcher.wave import Share, share


class HealthSettings(Model):
    """How a host proves that the new image works.

    With a `command` it has to exit with 0, inside the container (or the release directory); without one, the image's
    own HEALTHCHECK decides if it has one, and else the container has to run for `steady` without a restart.
    """

    command: tuple[str, ...] = ()
    timeout: Duration = timedelta(seconds=30)
    steady: Duration = timedelta(seconds=5)
    within: Duration = timedelta(minutes=2)


class RunSettings(Model):
    """What a host runs: the whole specification of the container, so that nothing is copied from what ran before."""

    command: tuple[str, ...] = ()
    env: dict[str, str | Secret] = Field(default_factory=dict)
    volumes: tuple[Volume, ...] = ()
    ports: tuple[Port, ...] = ()
    network: str = ""
    restart: Literal["no", "always", "unless-stopped", "on-failure"] = "unless-stopped"
    order: Literal["stop-first", "start-first"] = "stop-first"
    stop_signal: Annotated[str, matching(r"(SIG[A-Z0-9+]+)?", 'a signal such as "SIGTERM"')] = ""
    stop_grace: Duration = timedelta(seconds=10)
    health: HealthSettings = HealthSettings()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.order == "start-first" and self.ports:
            raise ValueError("order: expected stop-first, because two containers cannot publish the same port")
        return self


class TlsSettings(Model):
    """Files of a mutual TLS connection."""

    ca: Absolute
    cert: Absolute
    key: Absolute


class HostSettings(Model):
    """One host. `unix:///path` and `tcp://host:port` are Docker engines, `dir:/path` is a directory without Docker."""

    name: Name
    address: Annotated[
        str,
        matching(
            r"unix:///.+|tcp://[A-Za-z0-9.\[\]:-]+:\d{1,5}|dir:/.+", '"unix:///path", "tcp://host:port" or "dir:/path"'
        ),
    ]
    tls: TlsSettings | None = None

    @property
    def kind(self) -> str:
        """The row in the table of targets: `docker` or `dir`."""
        return "dir" if self.address.startswith("dir:") else "docker"


class FleetSettings(Model):
    """The hosts that run the same image, and how careful a rollout is with them."""

    waves: tuple[Annotated[Share, AfterValidator(lambda wave: (share(wave), wave)[1])], ...] = (1, "100%")
    soak: Duration = timedelta(0)
    at_once: Annotated[int, Field(ge=1, le=1000)] = 5
    max_failures: Annotated[int, Field(ge=0)] = 0
    hosts: tuple[HostSettings, ...] = ()

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        names = [host.name for host in self.hosts]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"hosts: expected every name once, got {', '.join(twice)} more than once")
        return self

    @property
    def plan(self) -> Plan:
        """What `decide` needs to know of the fleet."""
        return Plan(waves=self.waves, soak=self.soak, at_once=self.at_once, max_failures=self.max_failures)
