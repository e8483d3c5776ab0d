"""A throwaway copy of what a lock tool reads, and one tool at work in it: no configuration but the project's, no secret
but the index's, a deadline, and a limit on memory.
"""

import contextlib
import re
import shutil
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from watcher.errors import LockfileUnreadable, Refused
from workers.confined import confined
from workers.process import Ran, ToolFailed, run

DEADLINE = timedelta(minutes=10)
"""For all that is done in one copy: a tool may be asked several times."""
_LARGEST = 2 * 1024**3
"""Bytes of a file that a tool writes: uv downloads a wheel if its index has no metadata apart."""


class Unsolved(Refused):
    """No lock was found. `missing`: because something is not on the index, which for a young release can change.

    `said` is what the tool said, with all its lines.
    """

    def __init__(self, why: str, hint: str = "", *, missing: bool = False, said: str = "") -> None:
        self.why, self.hint, self.missing, self.said = why, hint, missing, said
        super().__init__(why, hint)

    def __str__(self) -> str:
        return self.why


class ToolAway(Refused):
    """A lock tool is not there, or has no room to work. What it was to move has no part in that."""

    def __init__(self, why: str, hint: str = "") -> None:
        self.why, self.hint = why, hint
        super().__init__(why, hint)

    def __str__(self) -> str:
        return self.why


def away(error: ToolFailed) -> ToolAway | None:
    """The error that it is if a tool did not come to its work at all."""
    if error.code == _NOT_THERE:
        return ToolAway(str(error), error.hint)
    if _NO_ROOM.search(error.said):
        return ToolAway(str(error), "make room on the disk, and check the owner of the directory")
    if "resolving tool dependencies" in error.said:
        hint = "the project's lock tool is fetched from the app's index: serve it there, or install it beside toplayer"
        return ToolAway(str(error), hint)
    return None


_NOT_THERE = 127
_NO_ROOM = re.compile(r"No space left on device|Disk quota exceeded|Read-only file system")


@dataclass(frozen=True, slots=True)
class Bench:
    """A throwaway directory. `env` is a tool's whole environment, `secrets` is what it must not carry away.

    What a tool can write to is the directory above `root`, which is as throwaway, and what it keeps in `kept`. `netrc`
    is the descriptor of a file with passwords.
    """

    root: Path
    env: Mapping[str, str]
    secrets: Collection[str] = ()
    kept: Collection[Path] = ()
    netrc: int = 0
    until: float = field(default_factory=lambda: time.monotonic() + DEADLINE.total_seconds())

    def run(
        self,
        argv: Sequence[str],
        directory: str = "",
        *,
        input: str = "",
        accept: Collection[int] = (0,),
        env: Mapping[str, str] = MappingProxyType({}),
    ) -> Ran:
        """Runs a tool in a directory of the copy, with `env` added. Raises `ToolFailed` and `ToolTimedOut`."""
        for place in self.kept:
            place.mkdir(parents=True, exist_ok=True)
        # One that is not there is told by whoever would have run it.
        there = shutil.which(argv[0], path=self.env.get("PATH")) is not None
        return run(
            confined(argv, (self.root.parent, *self.kept), self.netrc) if there else argv,
            name=Path(argv[0]).name,
            cwd=self.root / inside(directory),
            env={**self.env, **env},
            inherit=(self.netrc,) if self.netrc else (),
            deadline=self.left(),
            largest=_LARGEST,
            input=input.encode(),
            accept=accept,
            secrets=self.secrets,
        )

    def left(self) -> timedelta:
        """How long there still is."""
        return timedelta(seconds=max(self.until - time.monotonic(), 1.0))

    def write(self, path: str, text: str) -> None:
        """Puts a file into the copy."""
        place = self.root / inside(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text.encode())

    def remove(self, path: str) -> None:
        """Takes a file out of the copy, if it is there."""
        (self.root / inside(path)).unlink(missing_ok=True)

    def read(self, path: str) -> str:
        """A file of the copy, as the tool left it. `Unsolved` if it would carry the index's password away."""
        try:
            text = (self.root / inside(path)).read_bytes().decode()
        except FileNotFoundError:
            raise Unsolved(f"its tool left no {path}") from None
        except UnicodeDecodeError as error:
            raise LockfileUnreadable(path, "", "UTF-8", f"something else at byte {error.start}") from None
        if any(secret in text for secret in self.secrets if secret):
            raise Unsolved(f"its tool wrote the index's password into {path}", "keep credentials out of its command")
        return text


@contextlib.contextmanager
def on_disk(place: Path) -> Iterator[None]:
    """What goes wrong with the disk is told as such."""
    try:
        yield
    except OSError as error:
        why = f"{place} cannot be written: {error.strerror}"
        raise ToolAway(why, "make room on the disk, and check the owner of the directory") from error


def inside(path: str) -> PurePosixPath:
    """`path`, if it stays in the repository; else an `Unsolved`."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\0" in path:
        raise Unsolved(f"expected a path inside of the repository, got {path[:80]!r}")
    return pure
