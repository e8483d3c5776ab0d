"""Places in a Dockerfile, and what is said when something there cannot be read."""

from dataclasses import dataclass

from watcher.errors import Refused
from watcher.inert import inert


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Characters `start` up to, not including, `end` of the file's text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it is written, quotes included, and where."""

    text: str
    span: Span

    def __str__(self) -> str:
        return self.text


class DockerfileUnreadable(Refused):
    """A Dockerfile is not one: `line` counts from 1, and is 0 if the fault is the file's as a whole."""

    hint = "`docker build` would refuse it, too"

    def __init__(self, path: str, line: int, expected: str, got: str) -> None:
        self.path, self.line, self.expected, self.got = path, line, expected, got
        super().__init__(path, line, expected, got)

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: expected {self.expected}, got {inert(self.got, 120)}"
