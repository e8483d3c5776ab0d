"""The packages of Python that a lock pins, from the wheels of an index."""

from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path

from watcher.pin import Pin
from watcher.release import File
from watcher.settings import ImageSettings
from watcher.wheels import Wheels
from workers.image.component import Component, package
from workers.image.errors import BuildRefused
from workers.image.install import installed
from workers.image.needs import Requires, check
from workers.image.supply import Brought
from workers.image.wheel import read_wheel
from workers.image.wheelhouse import Wheelhouse

PYTHON, PHP = "pypi", "packagist"


class Packages:
    """The pins that are installed on the image's target. `components` are known without asking anybody."""

    def __init__(self, pins: Sequence[Pin], image: ImageSettings, wheelhouse: Wheelhouse, now: datetime) -> None:
        """Raises a `BuildRefused` that names the pins that cannot be installed at all."""
        self._image, self._wheelhouse, self._now = image, wheelhouse, now
        self._target = Wheels.of(image)
        self._pins = {package(pin, image, wheelhouse.url): pin for pin in applicable(pins, self._target)}
        self._files: dict[Component, File] = {}

    @property
    def components(self) -> Sequence[Component]:
        """See `Supply`."""
        return tuple(self._pins)

    def expect(self, components: Collection[Component]) -> None:
        """See `Supply`: the index is asked for all at once."""
        asked = [one for one in components if one in self._pins and one not in self._files]
        if asked:
            found = self._wheelhouse.best([self._pins[one] for one in asked], self._now)
            self._files.update((one, found[self._pins[one]]) for one in asked)

    def weigh(self, component: Component) -> int | None:
        """See `Supply`."""
        file = self._files.get(component)
        return file.size if file else None

    def bring(self, component: Component, place: Path) -> Brought:
        """See `Supply`."""
        pin = self._pins[component]
        wheel = read_wheel(self._wheelhouse.bring(pin, self._files[component], place), pin.package, pin.version)
        return Brought(installed(wheel, self._image), wheel.size, wheel.requires)

    def check(self, requires: Requires) -> None:
        """Refuses packages of which one needs what is not there; `requires` are by the keys of components."""
        if self._pins:
            needs = {pin.package: requires[component.key] for component, pin in self._pins.items()}
            check(tuple(self._pins.values()), needs, self._target)


def applicable(pins: Sequence[Pin], target: Wheels) -> tuple[Pin, ...]:
    """The Python packages that are installed on the target. A `BuildRefused` names those that cannot be."""
    for pin in pins:
        if pin.ecosystem not in (PYTHON, PHP):
            raise BuildRefused(pin.lock, f"`{pin.package}` is a package of {pin.ecosystem}, which no builder knows yet")
    wanted = [pin for pin in pins if pin.ecosystem == PYTHON and target.wants(pin)]
    foreign = ", ".join(f"`{pin.package}` ({pin.source})" for pin in wanted if pin.source != "index")
    if foreign:
        hint = "publish them on an index, and pin a version"
        raise BuildRefused(wanted[0].lock, f"expected packages from an index, got {foreign}", hint)
    versions: dict[str, set[str]] = {}
    for pin in wanted:
        versions.setdefault(pin.package, set()).add(pin.version)
    twice = [f"`{name}` at {' and at '.join(sorted(found))}" for name, found in versions.items() if len(found) > 1]
    if twice:
        raise BuildRefused(wanted[0].lock, f"for {target} it pins {'; '.join(sorted(twice))}", "lock again")
    return tuple({pin.package: pin for pin in wanted}.values())
