"""Changing one value in a text of JSON, and not a character more."""

import json
import re
from json.decoder import JSONDecoder

_SPACE = re.compile(r"[\s\ufeff]*")
_DECODER = JSONDecoder()


def replaced(text: str, place: tuple[str, ...], value: str) -> str:
    """`text` with the text `value` in the place of what stands at `place`: a key in an object in an object …

    A `LookupError` if nothing stands there, a `ValueError` if `text` is no JSON. Of keys that stand there twice, the
    last one counts, as it does to who reads it.
    """
    start, end = _span(text, 0, place)
    return text[:start] + json.dumps(value, ensure_ascii=False) + text[end:]


def _span(text: str, at: int, place: tuple[str, ...]) -> tuple[int, int]:
    at = _skip(text, at)
    if not place:
        return at, _DECODER.raw_decode(text, at)[1]
    if text[at : at + 1] != "{":
        raise LookupError(place[0])
    found: tuple[int, int] | None = None
    at = _skip(text, at + 1)
    while text[at] != "}":
        key, at = _DECODER.raw_decode(text, at)
        at = _skip(text, _skip(text, at) + 1)
        if key == place[0]:
            found = _span(text, at, place[1:])
        at = _skip(text, _DECODER.raw_decode(text, at)[1])
        at = _skip(text, at + 1) if text[at] == "," else at
    if found is None:
        raise LookupError(place[0])
    return found


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at
