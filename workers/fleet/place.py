"""What a host remembers that has no containers to ask by their names: which image is where, in one small text.

It stands in a file of a directory, or in a label of a swarm's service; whoever replaces it replaces all of it. Pure.
"""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from watcher.image import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An image, and the generation that brought it."""

    image: Digest
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The state of one service: `current` is proven, `next` is not yet, `previous` is kept to go back to.

    `newest` is the newest generation that was at work here, `taken_back` the newest one that was taken back.
    """

    service: str
    current: Placed | None = None
    next: Placed | None = None
    previous: Digest | None = None
    newest: int = 0
    taken_back: int = 0

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

    def images(self) -> set[Digest]:
        """What has to be kept."""
        placed = {place.image for place in (self.current, self.next) if place}
        return placed | ({self.previous} if self.previous else set())


def _placed(row: Any) -> Placed | None:
    return Placed(image=Digest(row["image"]), generation=int(row["generation"])) if row else None
