"""What a directory host remembers: which image is where, in one small file that is replaced whole.

The file is the truth. The link `current` follows it, and is put right by the next move if a process died in between.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from watcher.image import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An image, and the generation that brought it."""

    image: Digest
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The state of one directory: `current` is proven, `next` is not yet, `previous` is kept to go back to.

    `newest` is the newest generation that was at work here, `taken_back` the newest one that was taken back.
    """

    service: str
    current: Placed | None = None
    next: Placed | None = None
    previous: Digest | None = None
    newest: int = 0
    taken_back: int = 0

    @classmethod
    def read(cls, path: Path, service: str) -> Self:
        """The state in the file at `path`; an empty one if there is none. `ValueError` says what is wrong with it."""
        try:
            table = json.loads(path.read_bytes())
        except FileNotFoundError:
            return cls(service=service)
        try:
            return cls(
                service=str(table["service"]),
                current=_placed(table["current"]),
                next=_placed(table["next"]),
                previous=Digest(table["previous"]) if table["previous"] else None,
                newest=int(table["newest"]),
                taken_back=int(table["taken_back"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"{error} is missing or of another type") from None

    def write(self, path: Path, new: Path) -> None:
        """Replaces the file at `path`, by way of `new`: whole, and on the disk."""
        with new.open("wb") as file:
            file.write(json.dumps(asdict(self), indent=1).encode())
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        parent = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)

    def images(self) -> set[Digest]:
        """What has to be kept."""
        placed = {place.image for place in (self.current, self.next) if place}
        return placed | ({self.previous} if self.previous else set())


def _placed(row: Any) -> Placed | None:
    return Placed(image=Digest(row["image"]), generation=int(row["generation"])) if row else None
