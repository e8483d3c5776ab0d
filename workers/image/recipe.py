"""What an image is made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Self

from watcher.image import Digest
from watcher.layers.part import Terms
from watcher.pin import Pin
from watcher.settings import ImageSettings
from watcher.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What an image is made from: the files of `commit` in the directory `tree`, and the pins of its locks.

    `app` is whose image it is: several may have the same commit, and images in the same repository.

    `sources` are what the locks take from no index.
    `locks` are their paths, also of those in which nothing is pinned. `committed_at` (UTC) is the time of the image;
    `source` is where the commit comes from, for people. `previous` is the image that hosts run now, and of `others` the
    layers need not be made again, either. `is_part`: it is one of several platforms of an image, and has no tag.
    `rates` say how often components change, per day and by their names (`pypi:django`, `code`); `terms` are those of
    the hosts. Layers may be packed in any of `packings`, and new ones are in the first.
    """

    app: str = ""
    image: ImageSettings
    pins: tuple[Pin, ...]
    sources: tuple[Source, ...] = ()
    locks: tuple[str, ...] = ()
    tree: Path
    commit: str
    committed_at: datetime
    source: str = ""
    previous: Digest | None = None
    others: tuple[Digest, ...] = ()
    is_part: bool = False
    rates: Mapping[str, float] = field(default_factory=dict)
    terms: Terms = field(default_factory=Terms)
    packings: tuple[str, ...] = ("gzip",)

    @property
    def tag(self) -> str:
        """The name of the image in its repository."""
        return f"{self.app or 'commit'}-{self.commit[:12]}"

    def on(self, platform: str, made: Sequence[Digest]) -> Self:
        """The same for one of its platforms. What is the same everywhere, the code above all, is in those that are
        `made`."""
        is_part = len(self.image.every_platform) > 1
        return replace(self, image=self.image.on(platform), others=(*self.others, *made), is_part=is_part)

    @property
    def every_lock(self) -> tuple[str, ...]:
        """The paths of all locks, sorted."""
        return tuple(sorted({*self.locks, *(pin.lock for pin in self.pins)}))
