"""Our own specification of a container → what the Docker Engine API takes to create it. Pure.

A container is never made from what an older one looks like: an engine mixes what was asked for with what the image and
the network said, and a copy brings all of it along (moby#48168). What is not in the `Service` is the image's.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from watcher.image import Digest
from workers.fleet.host import Service
from workers.fleet.labels import labels_of, policy_of
from workers.fleet.swap import Goal

# Networks that are the engine's own: they know no aliases.
_BUILT_IN = ("", "default", "bridge", "host", "none")


def goal_of(service: Service, image: Digest, generation: int) -> Goal:
    """The container that `service` asks for. Two services with the same goal need no swap."""
    # What is not said is left out, so that older specifications stay what they are.
    more = {
        "networks": service.networks,
        "labels": dict(service.labels),
        "addresses": dict(service.addresses),
        "aliases": service.aliases,
    }
    said = _payload(service) | {key: value for key, value in more.items() if value}
    raw = json.dumps(said, sort_keys=True).encode()
    return Goal(image=image, generation=generation, spec=hashlib.sha256(raw).hexdigest())


def create_payload(
    service: Service, goal: Goal, previous: Digest | None, labels: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The body of `POST /containers/create` (any API version from 1.24 on).

    `previous` is the image that a host goes back to from this one; settling keeps it. `labels` are further ones, of
    the kind of target.
    """
    return _payload(service) | {
        "Image": reference(service, goal.image),
        "Labels": {
            **service.labels,
            **(labels or {}),
            **labels_of(service.name, goal, previous, service.restart),
        },
    }


def reference(service: Service, image: Digest) -> str:
    """How an engine is asked for the image: by digest, so that it cannot be another."""
    return f"{service.repository}@{image}"


def kept_as(service: Service) -> str:
    """The local repository whose tags keep the service's images from being pruned; the tag is the short digest."""
    return f"toplayer/{service.name}"


def _payload(service: Service) -> dict[str, Any]:
    host: dict[str, Any] = {"RestartPolicy": policy_of(service.restart)}
    payload: dict[str, Any] = {
        "Env": [f"{name}={value}" for name, value in sorted(service.env.items())],
        "StopTimeout": max(round(service.stop_grace.total_seconds()), 0),
        "HostConfig": host,
    }
    if service.command:
        payload["Cmd"] = list(service.command)
    if service.stop_signal:
        payload["StopSignal"] = service.stop_signal
    if service.volumes:
        host["Binds"] = list(service.volumes)
    host |= _limits(service)
    if service.network:
        host["NetworkMode"] = service.network
    if service.network in networks_of(service):
        payload["NetworkingConfig"] = {"EndpointsConfig": {service.network: endpoint(service, service.network)}}
    if service.ports:
        bindings: dict[str, list[dict[str, str]]] = {}
        for port in service.ports:
            inside, binding = _binding(port)
            bindings.setdefault(inside, []).append(binding)
        payload["ExposedPorts"] = {inside: {} for inside in bindings}
        host["PortBindings"] = bindings
    for key, value in service.engine.items():
        payload[key] = {**host, **value} if key == "HostConfig" else value
    return payload


def networks_of(service: Service) -> tuple[str, ...]:
    """The networks by their names that have to be there before the container is."""
    first = service.network
    named = first not in _BUILT_IN and not first.startswith("container:")
    return (*((first,) if named else ()), *service.networks)


def endpoint(service: Service, network: str) -> dict[str, Any]:
    """What a network is told about the container.

    With the name that others on the network call it by, also while the container is still called `.next`.
    """
    aliases = {"Aliases": [service.project_service or service.name, *service.aliases]}
    address = service.addresses.get(network, "")
    fixed = {"IPv6Address" if ":" in address else "IPv4Address": address}
    return aliases | ({"IPAMConfig": fixed} if address else {})


def _limits(service: Service) -> dict[str, Any]:
    """What the container may use. What is not limited is left out, so that older specifications stay what they are."""
    limits = {
        "Tmpfs": dict.fromkeys(service.tmpfs, ""),
        "ReadonlyRootfs": service.read_only,
        "Init": service.init,
        "Memory": service.memory,
        # Without this, as much swap again may be used.
        "MemorySwap": service.memory,
        "NanoCpus": round((service.cpus or 0) * 1_000_000_000),
        "PidsLimit": service.pids,
    }
    return {name: value for name, value in limits.items() if value}


def _binding(port: str) -> tuple[str, dict[str, str]]:
    """`[address:]outside:inside[/protocol]` as the engine has it."""
    rest, _, protocol = port.partition("/")
    *address, outside, inside = rest.rsplit(":", 2)
    return f"{inside}/{protocol or 'tcp'}", {"HostIp": "".join(address), "HostPort": outside}
