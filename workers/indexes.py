"""Opening an index by its name in the settings: those that speak HTTP, and the registries of images."""

from collections.abc import Callable

from watcher.indexes import INDEXES, Index
from watcher.settings import IndexSettings, Settings
from workers.oci.tags import Tags

OPEN: dict[str, Callable[[IndexSettings, Settings], Index]] = {
    "oci": lambda _, settings: Tags(settings.registries),
    **{kind: lambda mine, _, make=make: make(mine) for kind, make in INDEXES.items()},  # type: ignore[misc]
}
"""By kind."""


def open_index(name: str, settings: Settings) -> Index:
    """The index of this name."""
    mine = settings.indexes[name]
    return OPEN[mine.kind](mine, settings)
