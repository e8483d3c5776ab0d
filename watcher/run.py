"""The settings of what a host runs: the specification of the container, and how it proves itself."""

from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from watcher.fields import Absolute, Duration, Memory, Model, Port, Volume, matching
from watcher.secret import Secret

Network = Annotated[str, matching(r"[A-Za-z0-9][A-Za-z0-9_.-]*", "the name of a network")]
_POLICY = r"no|always|unless-stopped|on-failure(:[1-9]\d{0,3})?"
_OURS = {
    "Image": "image.repository",
    "Env": "run.env",
    "Cmd": "run.command",
    "Labels": "run.labels",
    "StopSignal": "run.stop_signal",
    "StopTimeout": "run.stop_grace",
    "ExposedPorts": "run.ports",
    "NetworkingConfig": "run.network and run.networks",
    "Binds": "run.volumes",
    "PortBindings": "run.ports",
    "NetworkMode": "run.network",
    "RestartPolicy": "run.restart",
    "Tmpfs": "run.tmpfs",
    "ReadonlyRootfs": "run.read_only",
    "Init": "run.init",
    "Memory": "run.memory",
    "NanoCpus": "run.cpus",
    "PidsLimit": "run.pids",
}


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError(f'expected an address such as "10.0.7.5", got {text[:80]!r}') from None


class ComposeSettings(Model):
    """Which service of which Compose project the app is, on hosts whose target is `compose`."""

    project: Annotated[str, matching(r"[a-z0-9][a-z0-9_-]*", "the name of a Compose project")]
    service: Annotated[str, matching(r"[A-Za-z0-9][A-Za-z0-9._-]*", "the name of a service of the project")]


class HealthSettings(Model):
    """How a host proves that the new image works.

    With a `command` it has to exit with 0, inside the container (or the release directory). With `http` the image's own
    Python asks this address from inside, and every status below 400 is well. Without either, the image's HEALTHCHECK
    decides if it has one. Whatever decides, the container has to run for `steady` without a restart.
    """

    command: tuple[str, ...] = ()
    http: Annotated[str, matching(r"(https?://[^\s]+)?", '"http://127.0.0.1:8080/health"')] = ""
    timeout: Duration = timedelta(seconds=30)
    steady: Duration = timedelta(seconds=5)
    within: Duration = timedelta(minutes=2)

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.command and self.http:
            raise ValueError("expected a command or http; one of the two")
        return self


class RunSettings(Model):
    """What a host runs: the whole specification of the container, so that nothing is copied from what ran before.

    `aliases` are further names by which others on its networks find it, and `addresses` fixed ones, by network.
    `engine` is what the other settings have no word for, in the engine's own words: keys of the body of `POST
    /containers/create`. `adopts` names a container (on a swarm: the service) that toplayer did not make and whose place
    the app takes. `replicas` and `parallelism` (how many of them are replaced at once) are for services of a swarm.
    """

    command: tuple[str, ...] = ()
    env: dict[str, str | Secret] = Field(default_factory=dict)
    volumes: tuple[Volume, ...] = ()
    ports: tuple[Port, ...] = ()
    network: str = ""
    networks: tuple[Network, ...] = ()
    aliases: tuple[Network, ...] = ()
    addresses: dict[Network, Annotated[str, AfterValidator(_address)]] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    engine: dict[str, Any] = Field(default_factory=dict)
    tmpfs: tuple[Absolute, ...] = ()
    read_only: bool = False
    init: bool = False
    memory: Memory | None = None
    cpus: Annotated[float, Field(gt=0, le=1024)] | None = None
    pids: Annotated[int, Field(ge=1)] | None = None
    restart: Annotated[str, matching(_POLICY, '"no", "always", "unless-stopped", "on-failure" or "on-failure:5"')] = (
        "unless-stopped"
    )
    order: Literal["stop-first", "start-first"] = "stop-first"
    stop_signal: Annotated[str, matching(r"(SIG[A-Z0-9+]+)?", 'a signal such as "SIGTERM"')] = ""
    stop_grace: Duration = timedelta(seconds=10)
    health: HealthSettings = HealthSettings()
    adopts: Annotated[str, matching(r"([A-Za-z0-9][A-Za-z0-9_.-]+)?", "the name of a container")] = ""
    compose: ComposeSettings | None = None
    replicas: Annotated[int, Field(ge=1, le=10_000)] = 1
    parallelism: Annotated[int, Field(ge=1, le=10_000)] = 1

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.order == "start-first" and self.ports:
            raise ValueError("order: expected stop-first, because two containers cannot publish the same port")
        if self.order == "start-first" and self.addresses:
            raise ValueError("order: expected stop-first, because two containers cannot have the same address")
        if strange := [name for name in self.addresses if name not in (self.network, *self.networks)]:
            raise ValueError(f"addresses: expected networks of the container, got {', '.join(strange)}")
        if self.aliases and not self.network:
            raise ValueError("aliases: expected a network beside them, because the engine's default one knows none")
        if self.networks and not self.network:
            raise ValueError("network: expected the first network, because `networks` are further ones")
        found = self.engine.get("HostConfig", {})
        host = found if isinstance(found, dict) else None
        if host is None:
            raise ValueError(f"engine.HostConfig: expected a table, got {str(found)[:60]!r}")
        twice = [key for key in self.engine if key in _OURS] + [f"HostConfig.{key}" for key in host if key in _OURS]
        if twice:
            ours = _OURS[twice[0].rpartition(".")[2]]
            raise ValueError(f"engine.{twice[0]}: expected nothing, because another setting says it: {ours}")
        if host.get("AutoRemove"):
            why = "a container that removes itself is not there to go back to"
            raise ValueError(f"engine.HostConfig.AutoRemove: expected nothing, because {why}")
        return self
