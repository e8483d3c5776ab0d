"""Changing one value in a text of JSON, and not a character more."""

import json
import re
from json.decoder import JSONDecoder
from typing import Any

_SPACE = re.compile(r"\s*")
_DECODER = JSONDecoder()


def replaced(text: str, place: tuple[str, ...], value: Any) -> str:
    """`text` with `value` in the place of what stands at `place`: a key in an object in an object …

    An object or a list is laid out as the text lays out its own, with its line ends.
    A `LookupError` if nothing stands there, a `ValueError` if `text` is no JSON. Of keys that stand there twice, the
    last one counts, as it does to who reads it.
    """
    start, end = _span(text, 0, place)
    return text[:start] + _written(value, text, start, len(place)) + text[end:]


def _written(value: Any, text: str, start: int, depth: int) -> str:
    """The value as it has to stand in the text, at that depth."""
    if not isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    line = re.match(r"[ \t]*", text[text.rfind("\n", 0, start) + 1 :])
    margin = line[0] if line else ""
    step = margin[: len(margin) // depth] if depth and "\n" in text else ""
    if not step:
        return json.dumps(value)
    rows = json.dumps(value, indent=step, separators=(",", ": ")).split("\n")
    return ("\r\n" if "\r\n" in text else "\n").join([rows[0], *(margin + row for row in rows[1:])])


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
