"""What somebody changed by hand on a container that was made from our specification. Pure.

An engine lets a container be changed while it is there: its limits, its networks. And a tool that makes containers anew
takes our labels along, whatever it makes otherwise. What an engine itself makes of a specification is no change: one
whose kernel knows no limits leaves them out.
"""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workers.fleet.host import OTHERWISE, SOMEBODYS, Service
from workers.fleet.spec import goal_of
from workers.fleet.swap import Container

_LIMITS = {
    "Memory": "limit of memory",
    "NanoCpus": "limit of processors",
    "PidsLimit": "limit of processes",
    "CpuShares": "share of processors",
    "CpusetCpus": "set of processors",
}
_ANY = ("PidsLimit",)
"""Where nothing was said, podman says something of its own."""
_OWN = ("bridge", "host", "none", "podman")


def differs(service: Service, found: Container) -> str:
    """What of the proven container is not as today's specification says."""
    if not found.spec:
        return SOMEBODYS
    if found.spec != goal_of(service, found.image, found.generation).spec:
        return OTHERWISE
    if found.changed:
        return f"was changed by hand: {found.changed}"
    if found.up and found.restarts != found.restart:
        return f"was changed by hand: its restart policy is {found.restarts} and not {found.restart}"
    return ""


def changes(inspected: Mapping[str, Any], payload: Mapping[str, Any], networks: Sequence[str]) -> Iterator[str]:
    """What is otherwise than in the body of `POST /containers/create`, and on the further networks, in words."""
    config, host, asked = inspected["Config"], inspected["HostConfig"], payload["HostConfig"]
    for key, what in _LIMITS.items():
        now, said = host.get(key), asked.get(key)
        if now and now != said and (said or key not in _ANY):
            yield f"its {what} is {now}" + (f" and not {said}" if said else "")
    if payload.get("Cmd") and config.get("Cmd") != payload["Cmd"]:
        yield "its command is another"
    known = set(config.get("Env") or ())
    yield from (f"its {entry.partition('=')[0]} is another" for entry in payload["Env"] if entry not in known)
    mounts = {mount["Destination"].rstrip("/"): mount for mount in inspected.get("Mounts") or ()}
    for source, place, *how in (bind.split(":") for bind in asked.get("Binds") or ()):
        if not _is_mounted(mounts.get(place.rstrip("/")), source, "ro" in how):
            yield f"{source} is not mounted at {place}"
    if (inspected.get("State") or {}).get("Status") != "created":
        yield from _moved(inspected, str(asked.get("NetworkMode") or ""), networks)


def _is_mounted(mount: Mapping[str, Any] | None, source: str, read_only: bool) -> bool:
    if mount is None or mount.get("RW", True) is read_only:
        return False
    if source.startswith("/"):
        # An engine in a machine of its own has the path below another one.
        return str(mount.get("Source")).endswith(posixpath.normpath(source))
    return mount.get("Name") == source


def _moved(inspected: Mapping[str, Any], first: str, networks: Sequence[str]) -> Iterator[str]:
    """The networks that it is on, beside those that it should be on."""
    attached = inspected["NetworkSettings"].get("Networks") or {}
    ids = {str(network.get("NetworkID")): name for name, network in attached.items()}
    wanted = {name for name in (first, *networks) if name not in ("", "default") and not name.startswith("container:")}
    yield from (f"it is not on the network {name}" for name in sorted(wanted) if not {name} & {*attached, *ids})
    known = wanted | {ids[name] for name in wanted if name in ids}
    more = set(attached) - known - ({*_OWN} if not wanted else set())
    yield from (f"it is on the network {name}, too" for name in sorted(more))
