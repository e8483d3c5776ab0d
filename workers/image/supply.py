"""Where the components of an image come from: one kind of supply each for Python, Composer, and the app's own files."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from watcher.settings import ImageSettings
from workers.image.component import Component, key_of, of_entries
from workers.image.content import size_of
from workers.image.entry import Entry
from workers.image.install import installed
from workers.image.wheel import Wheel


@dataclass(frozen=True, slots=True)
class Brought:
    """What a component leaves in an image, and about how many bytes it comes to as they travel.

    `requires` is what it needs (Requires-Dist), if it is a package of Python. `license` is its licence (an SPDX
    expression, or what stands there), and `sha256` the hash of the file that it came in, as far as they are known.
    What was built for one base alone is `built_on` the one with this digest.
    """

    entries: Sequence[Entry]
    size: int
    requires: tuple[str, ...] = ()
    license: str = ""
    sha256: str = ""
    built_on: str = ""

    @classmethod
    def of(
        cls, wheel: Wheel, image: ImageSettings, *, sha256: str = "", direct_url: bytes = b"", built_on: str = ""
    ) -> Self:
        """What a wheel leaves. See `installed`."""
        entries = installed(wheel, image, direct_url)
        return cls(entries, wheel.size, wheel.requires, wheel.license, sha256, built_on)


class Supply(Protocol):
    """The components of one kind. Safe to share between threads."""

    @property
    def components(self) -> Sequence[Component]: ...

    def expect(self, components: Collection[Component]) -> None:
        """Only these will be asked for, and those that were expected before. What they need is found out at once."""
        ...

    def weigh(self, component: Component) -> int | None:
        """How many bytes an expected component comes to as they travel; None if nobody can tell before it is made."""
        ...

    def bring(self, component: Component, place: Path) -> Brought:
        """An expected component. `place` is an empty directory, and stays until its layer is written."""
        ...


class Over:
    """The components of another supply, of which something else is made; `how` is what that depends on."""

    def __init__(self, supply: Supply, how: Mapping[str, Any]) -> None:
        self._supply, self._how = supply, how
        self._inner = {self.of(one): one for one in supply.components}

    def of(self, component: Component) -> Component:
        """What a component of the other supply is called here."""
        return Component(component.name, key_of({"component": component.key, **self._how}), component.version)

    @property
    def components(self) -> Sequence[Component]:
        """See `Supply`."""
        return tuple(self._inner)

    def expect(self, components: Collection[Component]) -> None:
        """See `Supply`."""
        self._supply.expect([self._inner[one] for one in components])

    def weigh(self, component: Component) -> int | None:
        """See `Supply`."""
        return self._supply.weigh(self._inner[component])

    def bring(self, component: Component, place: Path) -> Brought:
        """See `Supply`."""
        return self._supply.bring(self._inner[component], place)


class Own:
    """What is there already: the environment around the packages, and the files of the commit."""

    def __init__(self, entries: Mapping[str, Sequence[Entry]]) -> None:
        """`entries` by the names of components."""
        self._entries = entries
        self.components = [of_entries(name, found) for name, found in entries.items()]

    def paths(self, directory: str) -> frozenset[str]:
        """The paths of all files in a directory of the image, as seen from there."""
        start = f"{directory.strip('/')}/"
        every = (entry.path for entries in self._entries.values() for entry in entries)
        return frozenset(path.removeprefix(start) for path in every if path.startswith(start))

    def expect(self, components: Collection[Component]) -> None:
        """See `Supply`."""

    def weigh(self, component: Component) -> int:
        """See `Supply`."""
        return _packed(self._entries[component.name])

    def bring(self, component: Component, place: Path) -> Brought:
        """See `Supply`."""
        return Brought(self._entries[component.name], self.weigh(component))


def _packed(entries: Iterable[Entry]) -> int:
    """About what files come to as they travel: code is packed to a third."""
    return sum(size_of(one.content) for one in entries if one.content is not None) // 3
