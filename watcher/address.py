"""The one spelling of an index's address, so that what a lock says and what the configuration says can be compared."""

from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


def normal(url: str) -> str:
    """`scheme://host[:port]/path` without credentials, the usual port, query, fragment and trailing slash.

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
