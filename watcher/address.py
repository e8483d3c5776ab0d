"""Addresses in one spelling, so that two of them can be compared; and which ones are this very machine."""

from ipaddress import ip_address
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


def normal(url: str) -> str:
    """An index's address, as a lock and the configuration may both have it.

    That is `scheme://host[:port]/path` without credentials, the usual port, query, fragment and trailing slash.

    What is no address at all comes back as it is.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return url
    if not parts.hostname:
        return url
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    shown = f":{port}" if port and port != _PORTS.get(parts.scheme) else ""
    return f"{parts.scheme}://{host}{shown}{parts.path.rstrip('/')}"


def origin(url: str) -> tuple[str, str, int | None]:
    """Whose address it is: scheme, host and port (RFC 6454). What is no address has no host."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return "", "", None


def is_loopback(host: str) -> bool:
    """Whether `host` is this very machine: then nobody listens in, and no proxy is needed."""
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
