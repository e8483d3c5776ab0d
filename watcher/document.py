"""A JSON answer, read with care: it may be anything at all."""

from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic_core import from_json

from watcher.errors import IndexLied
from watcher.inert import inert

T = TypeVar("T")
_MOST_VALUES = 1_200_000
"""In one answer: twice those of PyPI's largest, and few enough that one of nothing but values fits into memory."""


def read(body: bytes, url: str) -> Any:
    """The document that came from `url`. An `IndexLied` for what is no JSON, or nested deeper than 200 levels."""
    if sum(map(body.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        raise IndexLied(url, "body", f"at most {_MOST_VALUES:,} values", "more")
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise IndexLied(url, "body", "JSON", inert(str(error), 200)) from error


def expect(value: object, kind: type[T], url: str, where: str, expected: str) -> T:
    """The value, if it is of that kind. An `IndexLied` names its place in the document."""
    if isinstance(value, kind):
        return value
    raise IndexLied(url, where, expected, shown(value))


def shown(value: object) -> str:
    """A value of an answer for a message: short, and without anything that a terminal would obey."""
    return repr(value[:80]) if isinstance(value, str) else "nothing" if value is None else type(value).__name__


def moment(value: object) -> datetime | None:
    """A time in ISO 8601, in UTC (which one without an offset is taken to be); None for what is none."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        at = datetime.fromisoformat(value)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
