"""What a survey saw: the tip of an app's branch, and the pins in its lockfile there."""

from dataclasses import dataclass
from datetime import datetime

from watcher.entry import Entry
from watcher.pin import Pin


@dataclass(frozen=True, slots=True, kw_only=True)
class Head(Entry):
    """The tip of `app`'s branch: `commit` (empty before the first survey), its time, its pins, and our branches.

    `beside` are the pins of the locks that are in no image, and `remark` says which of these could not be read.
    `branches` maps each branch of the remote that toplayer opened to its tip. `basis` is all that the pins were read
    from, in short: while that is the same, so are they.
    """

    app: str
    commit: str = ""
    committed_at: datetime | None = None
    surveyed_at: datetime | None = None
    pins: tuple[Pin, ...] = ()
    branches: tuple[tuple[str, str], ...] = ()
    beside: tuple[Pin, ...] = ()
    remark: str = ""
    basis: str = ""

    @property
    def name(self) -> str:
        return self.app

    @property
    def everything(self) -> tuple[Pin, ...]:
        """All that is pinned, in an image or not."""
        return (*self.pins, *self.beside)
