"""Composer's content hash: by it a composer.lock says which composer.json it is for.

Composer computes it from what it reads, decoded and encoded again by PHP (`Composer\\Package\\Locker::getContentHash`).
"""

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

_RELEVANT = (
    *("name", "version", "require", "require-dev", "conflict", "replace", "provide"),
    *("minimum-stability", "prefer-stable", "repositories", "extra"),
)
_LARGEST = 2**63


def content_hash(manifest: Mapping[str, Any]) -> str:
    """The hash of a composer.json that was read: 32 hexadecimal digits."""
    relevant = {key: manifest[key] for key in _RELEVANT if key in manifest}
    config = manifest.get("config")
    if isinstance(config, dict) and config.get("platform") is not None:
        relevant["config"] = {"platform": config["platform"]}
    text = _encoded({key: relevant[key] for key in sorted(relevant)})
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _encoded(value: Any) -> str:
    """What `json_encode` says. PHP has one kind of array: without keys, or with 0, 1, … in this order, it is a list."""
    if isinstance(value, dict):
        items = {key: _encoded(item) for key, item in value.items()}
        if list(items) == [str(number) for number in range(len(items))]:
            return f"[{','.join(items.values())}]"
        return f"{{{','.join(f'{_encoded(key)}:{item}' for key, item in items.items())}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_encoded, value))}]"
    if isinstance(value, str):
        # Python writes the character DEL as an escape, and PHP as it is.
        parts = (json.dumps(part)[1:-1] for part in value.split("\x7f"))
        return '"' + "\x7f".join(parts).replace("/", "\\/") + '"'
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return str(value) if isinstance(value, int) and -_LARGEST <= value < _LARGEST else _float(float(value))


def _float(value: float) -> str:
    """The shortest digits that mean it: with an exponent from 17 digits before the point, or 4 zeros behind it."""
    if value == 0:
        return "-0" if str(value).startswith("-") else "0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    first, *rest = map(str, digits)
    power = len(rest) + int(exponent)
    if -5 < power < 17:
        return format(Decimal(repr(value)).normalize(), "f")
    return f"{'-' * sign}{first}.{''.join(rest) or '0'}e{power:+d}"
