"""Our own specification of a container → what the Docker Engine API takes to make a service of a swarm of it. Pure."""

import hashlib
import json
from datetime import timedelta
from typing import Any

from watcher.image import Digest
from workers.fleet.host import HostRefused, Service
from workers.fleet.labels import GENERATION, SERVICE, SPEC, STATE
from workers.fleet.spec import reference

_CONDITIONS = {"no": "none", "on-failure": "on-failure", "always": "any", "unless-stopped": "any"}
_NANO = 1_000_000_000


def spec_of(service: Service, state: str, wanted: tuple[Digest, int] | None, host: str) -> dict[str, Any]:
    """The body of `POST /services/create`; `wanted` is image and generation, None for no task at all.

    Every task that does not come up, and every one that ends within `steady`, holds the update up: what is done then
    is decided by us, and not by the swarm. The next tasks wait as long as the last ones are watched: without that delay
    a swarm goes on in the moment in which it learns that a task failed, or does not, as it happens. `HostRefused` names
    what a swarm has no word for.
    """
    image, generation = wanted or (None, 0)
    watched = round(max(service.steady.total_seconds(), 1) * _NANO)
    update = {
        "Parallelism": service.parallelism,
        "FailureAction": "pause",
        "Delay": watched,
        "Monitor": watched,
        "MaxFailureRatio": 0,
        "Order": service.order,
    }
    return {
        "Name": service.name,
        "Labels": {SERVICE: service.name, STATE: state, SPEC: hash_of(service, host)},
        "TaskTemplate": _task(service, image, generation, host),
        "Mode": {"Replicated": {"Replicas": service.replicas if image else 0}},
        "UpdateConfig": update,
        "RollbackConfig": update,
        "EndpointSpec": {"Ports": [_port(port, host) for port in service.ports]},
    }


def whole(service: Service) -> timedelta:
    """The time that all tasks together have to get well: they are replaced one part after the other."""
    parts = -(-service.replicas // service.parallelism)
    return parts * (service.within + service.steady) if parts > 1 else service.within


def hash_of(service: Service, host: str) -> str:
    """A text that is another one as soon as the specification is."""
    task = _task(service, None, 0, host)
    raw = json.dumps([task, service.replicas, service.ports], sort_keys=True).encode()
    return hashlib.sha256(raw).hexdigest()


def _task(service: Service, image: Digest | None, generation: int, host: str) -> dict[str, Any]:
    if service.engine:
        raise HostRefused(host, "a swarm's service takes no words of the engine", "take `run.engine` out, or `target`")
    if service.addresses:
        raise HostRefused(host, "a swarm gives its tasks their addresses by itself", "take `run.addresses` out")
    container: dict[str, Any] = {
        "Image": reference(service, image) if image else f"{service.repository}:none",
        "Labels": {**service.labels, SERVICE: service.name, GENERATION: str(generation)},
        "Env": [f"{name}={value}" for name, value in sorted(service.env.items())],
        "Mounts": [*map(_mount, service.volumes), *({"Type": "tmpfs", "Target": path} for path in service.tmpfs)],
        "StopGracePeriod": round(service.stop_grace.total_seconds() * _NANO),
        "ReadOnly": service.read_only,
        "Init": service.init,
    }
    container |= {"Args": list(service.command)} if service.command else {}
    container |= {"StopSignal": service.stop_signal} if service.stop_signal else {}
    container["Healthcheck"] = _check(service)
    limits = {
        "MemoryBytes": service.memory or 0,
        "NanoCPUs": round((service.cpus or 0) * _NANO),
        "Pids": service.pids or 0,
    }
    networks = [name for name in (service.network, *service.networks) if name]
    return {
        "ContainerSpec": container,
        "Resources": {"Limits": {name: value for name, value in limits.items() if value}},
        "RestartPolicy": _restart(service.restart),
        "Networks": [{"Target": name, "Aliases": [service.name, *service.aliases]} for name in networks],
    }


def _restart(policy: str) -> dict[str, Any]:
    name, _, count = policy.partition(":")
    often = {"MaxAttempts": int(count)} if count else {}
    return {"Condition": _CONDITIONS[name], "Delay": _NANO} | often


def _check(service: Service) -> dict[str, Any]:
    """The health command, asked by the engines of the tasks: a task is up once it succeeds.

    Until `within` is over none is ended for failing it, or for failing its image's own HEALTHCHECK: it starts.
    """
    start = {"StartPeriod": round(service.within.total_seconds() * _NANO)}
    if not service.health_command:
        return start
    every = max(round(service.steady.total_seconds()), 1) * _NANO
    timeout = round(service.health_timeout.total_seconds() * _NANO)
    return {"Test": ["CMD", *service.health_command], "Interval": every, "Timeout": timeout, "Retries": 3} | start


def _mount(volume: str) -> dict[str, Any]:
    source, target, *how = volume.split(":")
    kind = "bind" if source.startswith("/") else "volume"
    return {"Type": kind, "Source": source, "Target": target, "ReadOnly": how == ["ro"]}


def _port(port: str, host: str) -> dict[str, Any]:
    rest, _, protocol = port.partition("/")
    *address, outside, inside = rest.rsplit(":", 2)
    if address:
        raise HostRefused(host, f"a swarm publishes {port} on every address of its nodes", "say only the ports")
    return {"Protocol": protocol or "tcp", "PublishedPort": int(outside), "TargetPort": int(inside)}
