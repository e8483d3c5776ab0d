"""Where in a text of TOML each string stands, by its way through the tables."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Way = tuple[str | int, ...]
# Strings over several lines are passed over, as a whole.
_STRINGS = re.compile(r'"""[\s\S]*?"""|\'\'\'[\s\S]*?\'\'\'|"((?:[^"\\\n]|\\.)*)"|\'([^\'\n]*)\'')


@dataclass(frozen=True, slots=True)
class Text:
    """A string that is a value: the way to it (keys, and numbers in lists), and where it begins and ends."""

    way: Way
    start: int
    end: int


def strings(text: str) -> tuple[Text, ...]:
    """Every string on one line that is a value; none if the text is no TOML.

    What stands in a comment is none, and neither is a key: the text is parsed, with a number in the place of each
    string, and what of that comes back where is what counts.
    """
    found = [match for match in _STRINGS.finditer(text) if match.lastindex]
    numbered, at = "", 0
    for number, match in enumerate(found):
        start, end = match.span(match.lastindex or 0)
        numbered, at = f"{numbered}{text[at:start]}_{number}_", end
    return tuple(_texts(text, found, numbered + text[at:]))


def _texts(text: str, found: list[re.Match[str]], numbered: str) -> Iterator[Text]:
    try:
        real, data = tomllib.loads(text), tomllib.loads(numbered)
    except (ValueError, RecursionError):
        return
    names = {f"_{number}_": match for number, match in enumerate(found)}

    def walk(value: Any, way: Way) -> Iterator[Text]:
        if isinstance(value, dict):
            for key, one in value.items():
                # A quoted key got a number, too.
                own = names[key][names[key].lastindex or 0] if key in names else key
                yield from walk(one, (*way, own))
        elif isinstance(value, list):
            for place, one in enumerate(value):
                yield from walk(one, (*way, place))
        elif isinstance(value, str) and value in names:
            yield Text(way, *names[value].span(names[value].lastindex or 0))

    yield from (one for one in walk(data, ()) if _at(real, one.way) is not None)


def _at(data: Any, way: Way) -> Any:
    for step in way:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def at(text: str, way: Way) -> Any:
    """What stands there, whatever it is; None if nothing does."""
    return _at(tomllib.loads(text), way)
