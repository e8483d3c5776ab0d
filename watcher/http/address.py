"""Which addresses of the network are nobody's business outside of it."""

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import chain, zip_longest


async def resolved(host: str) -> tuple[str, ...]:
    """The addresses of `host` (a name or an address), those of both families in turn. An `OSError` if there is none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    families: dict[int, list[str]] = {}
    for family, _, _, _, address in found:
        families.setdefault(family, []).append(str(address[0]))
    return tuple(address for address in chain(*zip_longest(*families.values())) if address)


async def is_private(host: str) -> bool:
    """Whether `host` (a name or an address) leads into a private, loopback or link-local network, as far as we can see.

    A name that does not resolve here is not private: behind a proxy, it is the proxy that resolves it.
    """
    try:
        return any(not is_public(ip_address(address)) for address in await resolved(host))
    except (OSError, UnicodeError):
        return False


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether the whole world can speak of the address. IPv4 inside IPv6 counts as what it is."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or _nat64(address)
        return is_public(inner) if inner else address.is_global
    return address.is_global and not address.is_multicast


def _nat64(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address behind RFC 6052's well-known prefix."""
    return IPv4Address(int(address) & 0xFFFFFFFF) if int(address) >> 32 == 0x0064_FF9B << 64 else None
