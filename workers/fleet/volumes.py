"""What an engine says of a container's mounts and ports → the texts that the settings have for them. Pure."""

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
