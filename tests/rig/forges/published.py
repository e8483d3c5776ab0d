"""Published descriptions of APIs, as pydantic models: what fits them, and what would."""

import datetime as dt
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from githubkit.typing import Missing
from pydantic import BaseModel, TypeAdapter, ValidationError

from tests.rig.forges.server import Misfit


def checked(kind: type[BaseModel], value: Any, what: str, *, closed: bool = False) -> None:
    """Raises a `Misfit` if the value does not fit. `closed`: it may hold nothing that is not described."""
    try:
        kind.model_validate(value)
    except ValidationError as error:
        raise Misfit(f"{what}: {error}") from None
    known = {field.alias or name for name, field in kind.model_fields.items()}
    if closed and not set(value) <= known:
        raise Misfit(f"{what}: {sorted(set(value) - known)} not in {kind.__name__}")


_NOT_SENT = {"self", "owner", "repo", "index", "ref", "branch", "request_options", "headers", "stream"}
"""What clients that are made from a description take besides a query or a body: parts of the path, and their own."""


def sent(operation: Callable[..., Any], what: Mapping[str, Any]) -> None:
    """Raises a `Misfit` for what the described operation does not take, or does not get."""
    takes = {
        "Do" if name == "do" else name.rstrip("_"): one
        for name, one in inspect.signature(operation).parameters.items()
        if name not in _NOT_SENT
    }
    needs = {name for name, one in takes.items() if one.default is inspect.Parameter.empty}
    if not needs <= set(what) <= takes.keys():
        raise Misfit(f"{operation.__name__} takes {sorted(takes)}, got {sorted(what)}")
    for name, value in what.items():
        try:
            _described(takes[name].annotation).validate_python(value)
        except ValidationError as error:
            raise Misfit(f"{operation.__name__}: {name}: {error}") from None


@cache
def _described(annotation: Any) -> TypeAdapter[Any]:
    """What a value has to be. githubkit has annotations as texts; pyforgejo lets in words that are not described."""
    if isinstance(annotation, str):
        annotation = eval(annotation, {"Missing": Missing, "Literal": Literal})
    members = tuple(one for one in _members(annotation) if one is not Any)
    # Of labels it is described that they can be anything, which pyforgejo takes for objects.
    return TypeAdapter(Any if _OBJECTS in members else Union[members])  # type: ignore[arg-type]  # noqa: UP007


_OBJECTS = typing.Sequence[typing.Dict[str, Any]]  # noqa: UP006


def whole(kind: type[BaseModel], known: Mapping[str, Any]) -> dict[str, Any]:
    """An answer with everything that the description requires: `known`, and something harmless for the rest."""
    made: dict[str, Any] = {}
    for name, field in kind.model_fields.items():
        key = field.alias or name
        if key in known:
            made[key] = _with(field.annotation, known[key])
        elif field.is_required():
            made[key] = _blank(field.annotation)
    checked(kind, made, f"answer as {kind.__name__}")
    return made


def _with(annotation: Any, value: Any) -> Any:
    inner = next((one for one in _members(annotation) if isinstance(one, type) and issubclass(one, BaseModel)), None)
    return whole(inner, value) if inner is not None and isinstance(value, dict) else value


def _members(annotation: Any) -> list[Any]:
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return [member for one in get_args(annotation) for member in _members(one)]
    if origin is Annotated:
        return _members(get_args(annotation)[0])
    return [annotation]


def _blank(annotation: Any) -> Any:
    members = _members(annotation)
    if type(None) in members:
        return None
    first = members[0]
    if get_origin(first) is Literal:
        return get_args(first)[0]
    if get_origin(first) in (list, dict):
        return get_origin(first)()
    if isinstance(first, type) and issubclass(first, BaseModel):
        return whole(first, {})
    return {str: "x", int: 1, float: 1.0, bool: False, dt.datetime: "2026-11-02T09:00:00Z"}.get(first, {})
