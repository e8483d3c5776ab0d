"""The files of an image's components, brought here once and only if somebody asks, and what is then known of them."""

import shutil
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from workers.image.component import Component
from workers.image.entry import Entry
from workers.image.parts import Facts, Known
from workers.image.patch import roots
from workers.image.supply import Brought, Supply

_TYPICAL = 200_000
"""Bytes of a wheel, for an index that does not tell."""


class Files:
    """The components of `supplies`. What an earlier image tells of one is taken from `known`. Safe to share."""

    def __init__(self, supplies: Sequence[Supply], known: Known, directory: Path) -> None:
        self._supplies = {component: supply for supply in supplies for component in supply.components}
        self._known, self._directory = known, directory
        self._brought: dict[Component, Brought] = {}
        self._facts: dict[str, Facts] = {}
        self._guards = {component: threading.Lock() for component in self._supplies}

    @property
    def components(self) -> tuple[Component, ...]:
        """All that the image is made of."""
        return tuple(self._supplies)

    def is_known(self, component: Component) -> bool:
        """Whether all that there is to know of a component is, though nobody has brought its files here."""
        return component.key in self._known.facts

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
                self._facts[component.key] = Facts(found.size, found.requires, roots(found.entries))
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
        facts = self._facts[component.key]
        self._facts[component.key] = Facts(size, facts.requires, facts.places)

    def size(self, component: Component) -> int:
        """Bytes as they travel: those of its layer if there is one, else what its supply says, or a guess."""
        if component.key in self._known.facts:
            return self._known.facts[component.key].size
        found = self._supplies[component].weigh(component)
        if found is not None:
            return found
        stack = self._known.stack
        return next((one.size for one in stack if one.names == (component.name,) and not one.since), _TYPICAL)

    def places(self, component: Component) -> Iterable[str]:
        """Paths at or below which all the files of a component are."""
        if component in self._brought or not self.is_known(component):
            return [one.path for one in self.of(component) if not one.is_directory]
        return self._known.facts[component.key].places

    @property
    def facts(self) -> Mapping[str, Facts]:
        """What is known by now, by the keys of components."""
        return {**self._known.facts, **self._facts}

    def _place(self, component: Component) -> Path:
        return self._directory / f"files-{component.key}"
