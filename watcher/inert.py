"""Text from outside, made harmless for terminals, databases and people's eyes."""

import unicodedata
from typing import Any

_LONGEST = 2_000


def inert(text: str, longest: int = _LONGEST) -> str:
    """`text` without control characters and direction overrides, and no longer than `longest` characters.

    Line ends and tabs stay; everything else of Unicode's categories Cc, Cf, Cs and Co becomes U+FFFD, so that what was
    there can still be seen to have been there.
    """
    safe = "".join(ch if ch in "\n\t" or unicodedata.category(ch) not in _UNSAFE else "\ufffd" for ch in text)
    return safe if len(safe) <= longest else f"{safe[: longest - 1]}…"


_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co"})

HIDDEN = "[hidden]"
"""What stands where a secret stood."""


def without(value: Any, secrets: list[str]) -> Any:
    """The value with every occurrence of a secret, in any text at any depth, replaced."""
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, HIDDEN)
        return value
    if isinstance(value, dict):
        return {without(key, secrets): without(item, secrets) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without(item, secrets) for item in value]
    return value
