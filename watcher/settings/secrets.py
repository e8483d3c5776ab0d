"""The secrets that settings hold, found wherever they stand."""

from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from watcher.secret import Secret


def secrets_in(value: Any, path: str) -> list[tuple[str, Secret]]:
    """Every secret in a value, with its path."""
    if isinstance(value, Secret):
        return [(path, value)]
    if isinstance(value, BaseModel):
        fields = [(name, getattr(value, name)) for name in type(value).model_fields]
        return [found for name, field in fields for found in secrets_in(field, f"{path}.{name}".lstrip("."))]
    if isinstance(value, dict):
        return [found for name, item in value.items() for found in secrets_in(item, f"{path}.{name}")]
    if isinstance(value, tuple):
        return [found for n, item in enumerate(value) for found in secrets_in(item, f"{path}[{n}]")]
    return []


def telling_parts(value: str) -> list[str]:
    """A secret, and of one that is an address, the parts that are secret by themselves."""
    parts = [value]
    if "://" in value:
        address = urlsplit(value)
        parts += [address.password or "", address.path.strip("/"), address.query]
    return [part for part in parts if len(part) >= _SHORTEST_SECRET]


_SHORTEST_SECRET = 4


def revealed(value: str | Secret | None) -> str:
    """The text itself; an empty one for nothing."""
    return value.reveal() if isinstance(value, Secret) else value or ""
