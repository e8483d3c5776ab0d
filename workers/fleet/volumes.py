"""What an engine says of a container's mounts and ports → what a container after it is told. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any


def volumes_of(found: Mapping[str, Any]) -> Iterator[str]:
    """`source:/path[:ro]` of each bind and volume, as `docker inspect` has them."""
    for mount in found.get("Mounts") or ():
        if mount.get("Type") not in ("bind", "volume"):
            continue
        source = mount.get("Name") if mount["Type"] == "volume" else mount.get("Source")
        yield f"{source}:{mount['Destination']}" + ("" if mount.get("RW") else ":ro")


def ports_of(bindings: Mapping[str, Any]) -> Iterator[str]:
    """`[address:]outside:inside[/udp]` of each published port."""
    for inside, outer in sorted(bindings.items()):
        port, _, protocol = inside.partition("/")
        for binding in outer or ():
            address = f"{binding['HostIp']}:" if binding.get("HostIp") else ""
            yield f"{address}{binding.get('HostPort', '')}:{port}" + (f"/{protocol}" if protocol == "udp" else "")


def carried_over(found: Mapping[str, Any], host: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The mounts that a container made from this `HostConfig` has to be given besides, to have the volumes without a
    name of the one before it: where its image says VOLUME, an engine would give it an empty one."""
    taken = {bind.split(":")[1].rstrip("/") for bind in host.get("Binds") or ()}
    taken |= {str(mount.get("Target")).rstrip("/") for mount in host.get("Mounts") or ()}
    taken |= {path.rstrip("/") for path in host.get("Tmpfs") or ()}
    return [
        {
            "Type": "volume",
            "Source": mount["Name"],
            "Target": mount["Destination"],
            "ReadOnly": not mount.get("RW", True),
        }
        for mount in found.get("Mounts") or ()
        if is_unnamed(mount) and mount["Destination"].rstrip("/") not in taken
    ]


def is_unnamed(mount: Mapping[str, Any]) -> bool:
    """Whether a mount is a volume that nobody gave a name."""
    return mount.get("Type") == "volume" and bool(re.fullmatch(r"[0-9a-f]{64}", mount.get("Name") or ""))
