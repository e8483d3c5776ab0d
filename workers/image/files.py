"""The files of an image's components, brought here once and only if somebody asks, and what is then known of them."""

import shutil
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from watcher.layers.sizes import TYPICAL
from workers.image.component import Component
from workers.image.content import is_told
from workers.image.entry import Entry
from workers.image.notes import Facts
from workers.image.parts import Known
from workers.image.places import Places, places, refined
from workers.image.supply import Brought, Supply

_MOST_PLACES = 4000
"""What has more is looked at again each time: that is less than to tell of them each time."""


class Files:
    """The components of `supplies`. What an earlier image tells of one is taken from `known`. Safe to share."""

    def __init__(self, supplies: Sequence[Supply], known: Known, directory: Path) -> None:
        self._supplies = {component: supply for supply in supplies for component in supply.components}
        self._known, self._directory = known, directory
        self._brought: dict[Component, Brought] = {}
        self._facts: dict[str, Facts] = {}
        self._refined: dict[str, Places] = {}
        self._guards = {component: threading.Lock() for component in self._supplies}

    @property
    def components(self) -> tuple[Component, ...]:
        """All that the image is made of."""
        return tuple(self._supplies)

    def is_known(self, component: Component) -> bool:
        """Whether all that there is to know of a component is, though nobody has brought its files here."""
        return component.key in self._known.facts

    def is_here(self, component: Component) -> bool:
        """Whether somebody has asked for its files already."""
        return component in self._brought

    def expect(self, components: Collection[Component]) -> None:
        """Only these will be asked for, and those that were expected before."""
        for supply in dict.fromkeys(self._supplies.values()):
            supply.expect([one for one in components if self._supplies[one] is supply])

    def of(self, component: Component) -> Sequence[Entry]:
        """The files of a component that is expected."""
        with self._guards[component]:
            if component not in self._brought:
                place = self._place(component)
                place.mkdir(exist_ok=True)
                found = self._supplies[component].bring(component, place)
                self._brought[component] = found
                mine = places(found.entries, looked_into=not component.is_package)
                self._facts[component.key] = Facts(
                    found.size, found.requires, mine, found.license, found.sha256, found.built_on
                )
            return self._brought[component].entries

    def again(self, component: Component) -> Sequence[Entry]:
        """The same files, also after they were dropped. The component has to be expected."""
        with self._guards[component]:
            if not self._place(component).exists():
                self._brought.pop(component, None)
        return self.of(component)

    def drop(self, component: Component) -> None:
        """Makes room: nobody will read these files again."""
        shutil.rmtree(self._place(component), ignore_errors=True)

    def weigh(self, component: Component, size: int) -> None:
        """Notes how large the layer of a component has become."""
        self._facts[component.key] = replace(self._facts[component.key], size=size)

    def size(self, component: Component) -> int:
        """Bytes as they travel: those of its layer if there is one, else what its supply says, or a guess."""
        if component.key in self._known.facts:
            return self._known.facts[component.key].size
        found = self._supplies[component].weigh(component)
        if found is not None:
            return found
        stack = self._known.stack
        return next((one.size for one in stack if one.names == (component.name,) and not one.since), TYPICAL)

    def places(self, component: Component) -> Places:
        """Where a component has its files. One of which nobody has told is expected, and brought."""
        if component.key in self._refined:
            return self._refined[component.key]
        if component.key not in self._facts and not self.is_known(component):
            self.of(component)
        return (self._facts.get(component.key) or self._known.facts[component.key]).places

    def is_vague(self, component: Component, place: str) -> bool:
        """Whether there may be more at a place than is known."""
        return not self.places(component).get(place, "")

    def refine(self, component: Component, place: str) -> None:
        """Brings a component that is expected, and finds out what there is at a place."""
        entries = self.of(component)
        if not all(one.content is None or is_told(one.content) for one in entries):
            entries = self.again(component)
        now = self.places(component)
        # Other images may have told less of it, or in other words.
        if now.get(place) == "":
            self._refined[component.key] = refined(now, place, entries)

    @property
    def facts(self) -> Mapping[str, Facts]:
        """What is known by now, by the keys of components."""
        found = {**self._known.facts, **self._facts}
        told = {key: mine for key, mine in self._refined.items() if len(mine) <= _MOST_PLACES}
        return {**found, **{key: replace(found[key], places=mine) for key, mine in told.items()}}

    def _place(self, component: Component) -> Path:
        return self._directory / f"files-{component.key}"
