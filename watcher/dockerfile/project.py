"""What a project tells about itself: its files, how often they change, and what its last image weighed."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from watcher.dockerfile.layers import Layer


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A build's context and its past.

    `files` are those of the context that an ignore file leaves, with their sizes in bytes; `read` gives the text of one
    (None: there is none such). `history` are the files that each commit of the last `days` changed, within the context.
    `moved` tells of the same commits which packages changed in which list, by their names in lower case, as far as
    somebody has looked. `layers` are those of the last image from the bottom up; without any, sizes are taken from the
    files, and guessed for what is installed. `seconds` are what steps of past builds took, by their texts.
    `containerd`: builder and hosts keep images in containerd's store, which keeps what lies above a layer that changed.
    """

    files: Mapping[str, int]
    read: Callable[[str], str | None] = lambda _: None
    history: tuple[frozenset[str], ...] = ()
    days: float = 30.0
    layers: tuple[Layer, ...] = field(default=())
    moved: tuple[Mapping[str, frozenset[str]], ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    containerd: bool = False

    def changes(self, files: Collection[str]) -> float:
        """How many commits a month change any of these files."""
        wanted = frozenset(files)
        return sum(not wanted.isdisjoint(commit) for commit in self.history) * 30.0 / max(self.days, 1.0)
