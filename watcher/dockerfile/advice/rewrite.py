"""What a rule gives."""

from collections.abc import Callable
from dataclasses import dataclass

from watcher.dockerfile.advice.draft import Draft
from watcher.dockerfile.project import Project


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A rewritten file: which line of the old one it is about, and what was done."""

    line: int
    said: str
    text: str


Rule = Callable[[Draft, Project], Rewrite | None]
"""Takes a stage and gives the whole file anew, or nothing where it does not apply."""
