"""The packages of Python that a lock pins on an index: from wheels, or built from sources where there are none."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from watcher.pin import Pin
from watcher.source import Source
from watcher.wheels import Wheels
from workers.image.component import Component, package
from workers.image.content import sha256_of
from workers.image.errors import BuildRefused
from workers.image.needs import Requires, check
from workers.image.supply import Brought
from workers.image.unpack import emptied, only_directory, unpack
from workers.image.wheel import read_wheel
from workers.image.wheelhouse import Offer
from workers.image.workshop import Tree, Workshop

PYTHON, PHP = "pypi", "packagist"


class Packages:
    """The pins that are installed on the image's target. `components` are known without asking anybody."""

    def __init__(self, pins: Sequence[Pin], sources: Sequence[Source], workshop: Workshop, now: datetime) -> None:
        """`sources` are what the lock takes from elsewhere. A `BuildRefused` names pins that nobody can install."""
        self._image, self._wheelhouse, self._workshop, self._now = workshop.image, workshop.wheelhouse, workshop, now
        found = applicable(pins, sources, Wheels.of(self._image))
        self._pins = {package(pin, self._image, self._wheelhouse.address(pin)): pin for pin in found}
        self._offers: dict[Component, Offer] = {}

    @property
    def components(self) -> Sequence[Component]:
        """See `Supply`."""
        return tuple(self._pins)

    @property
    def pins(self) -> Mapping[Component, Pin]:
        """The pins by their components."""
        return self._pins

    def expect(self, components: Collection[Component]) -> None:
        """See `Supply`: the indexes are asked for all at once."""
        asked = [one for one in components if one in self._pins and one not in self._offers]
        if asked:
            found = self._wheelhouse.best([self._pins[one] for one in asked], self._now)
            self._offers.update((one, found[self._pins[one]]) for one in asked)

    def weigh(self, component: Component) -> int | None:
        """See `Supply`."""
        offer = self._offers.get(component)
        return offer.file.size if offer else None

    def bring(self, component: Component, place: Path) -> Brought:
        """See `Supply`."""
        pin, mine = self._pins[component], emptied(place / component.key)
        offer = self._offers[component]
        file = self._wheelhouse.bring(pin, offer, mine)
        sha256 = offer.file.hashes.get("sha256") or sha256_of(file)
        if file.name.endswith(".whl"):
            return Brought.of(read_wheel(file, pin.package, pin.version), self._image, sha256=sha256)
        unpack(file, emptied(mine / "source"), file.name)
        root = only_directory(mine / "source", file.name)
        source = Tree(name=file.name, package=pin.package, key=component.key, place=root, version=pin.version)
        wheel = self._workshop.wheel(source, mine, self._now)
        return Brought.of(wheel, self._image, sha256=sha256, built_on=self._workshop.built_on(wheel))


def check_needs(pins: Mapping[Component, Pin], requires: Requires, target: Wheels) -> None:
    """Refuses packages of which one needs what is not there; `requires` are by the keys of components."""
    if pins:
        check(tuple(pins.values()), {pin.package: requires[one.key] for one, pin in pins.items()}, target)


def once(pins: Mapping[Component, Pin]) -> dict[Component, Pin]:
    """The same pins; a `BuildRefused` if a package is to come from several places."""
    found: dict[str, Pin] = {}
    for pin in pins.values():
        if other := found.get(pin.package):
            where = " and ".join(sorted({other.source, pin.source}))
            raise BuildRefused(pin.lock, f"`{pin.package}` is in it more than once ({where})", "lock again")
        found[pin.package] = pin
    return dict(pins)


def applicable(pins: Sequence[Pin], sources: Sequence[Source], target: Wheels) -> tuple[Pin, ...]:
    """The pins on an index that are installed on the target. A `BuildRefused` names those that cannot be."""
    for pin in pins:
        if pin.ecosystem not in (PYTHON, PHP):
            raise BuildRefused(pin.lock, f"`{pin.package}` is a package of {pin.ecosystem}, which no builder knows yet")
    wanted = [pin for pin in pins if pin.ecosystem == PYTHON and target.wants(pin)]
    elsewhere = {source.package for source in sources}
    foreign = [pin for pin in wanted if pin.source != "index" and pin.package not in elsewhere]
    if foreign:
        got = ", ".join(f"`{pin.package}` ({pin.source})" for pin in foreign)
        hint = "publish them on an index, and pin a version"
        raise BuildRefused(wanted[0].lock, f"expected packages from an index, got {got}", hint)
    versions: dict[str, set[str]] = {}
    for pin in wanted:
        versions.setdefault(pin.package, set()).add(pin.version)
    twice = [f"`{name}` at {' and at '.join(sorted(found))}" for name, found in versions.items() if len(found) > 1]
    if twice:
        raise BuildRefused(wanted[0].lock, f"for {target} it pins {'; '.join(sorted(twice))}", "lock again")
    return tuple({pin.package: pin for pin in wanted if pin.source == "index"}.values())
