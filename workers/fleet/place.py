"""What a directory host remembers: which image is where, in one small file that is replaced whole.

The file is the truth. The link `current` follows it, and is put right by the next move if a process died in between.
"""

import json
import os
from dataclasses import asdict, dataclass, replace
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
            return cls.parse(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls(service=service)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The state in a text. `ValueError` says what is wrong with it."""
        table = json.loads(text)
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

    def text(self) -> str:
        """The state as `parse` reads it."""
        return json.dumps(asdict(self), indent=1)

    def swapped(self, wanted: Placed) -> Self:
        """The state with `wanted` in the place of whatever is not proven."""
        return replace(self, next=wanted, newest=wanted.generation)

    def settled(self, image: Digest) -> Self:
        """The state once `image` is proven."""
        if self.next is None or self.next.image != image:
            return self
        before = self.current.image if self.current else None
        return replace(self, current=self.next, next=None, previous=self.previous if before == image else before)

    def returned(self, image: Digest | None, generation: int) -> Self:
        """The state once `generation` is taken back to `image` (None: to nothing that this generation brought)."""
        current = self.current
        if image is None:
            current = current if current and current.generation < generation else None
        elif current is None or current.image != image:
            current = Placed(image=image, generation=generation)
        previous = self.previous if current and self.previous != current.image else None
        return replace(self, current=current, next=None, previous=previous, newest=generation, taken_back=generation)

    def write(self, path: Path, new: Path) -> None:
        """Replaces the file at `path`, by way of `new`: whole, and on the disk."""
        with new.open("wb") as file:
            file.write(self.text().encode())
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
