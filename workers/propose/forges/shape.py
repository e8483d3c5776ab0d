"""Answers of forges: how they are read, and the shapes that GitHub and Gitea have in common."""

from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from workers.propose.forges.errors import unreadable


class Branch(BaseModel):
    """One end of a pull request."""

    ref: str
    sha: str


class _Permissions(BaseModel):
    push: bool = False


class Project(BaseModel):
    """A repository, as far as it matters: what the token may do with it."""

    permissions: _Permissions = _Permissions()


class Status(BaseModel):
    """All statuses of a commit in one word."""

    state: str
    total_count: int


def read(shape: TypeAdapter[Any], row: object, where: str) -> Any:
    """The row in this shape. A `ForgeLied` names what is wrong with it."""
    try:
        return shape.validate_python(row)
    except ValidationError as error:
        raise unreadable(where, error) from None
