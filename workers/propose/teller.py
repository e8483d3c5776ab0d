"""Finding out what there is to tell about a bump: from the ledger, from its index, and from its authors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from watcher.advisory import Advisory
from watcher.bump import Bump
from watcher.ledger import Ledger
from watcher.lockfiles.diff import LockDiff
from watcher.lookup import Bulletin, Lookup
from watcher.pin import Pin
from watcher.release import Release
from watcher.settings import Settings
from workers.propose.facts import Facts, Layer


@dataclass(frozen=True, slots=True)
class FromEverywhere:
    """A teller for one bump. `layers` asks for those of the image that runs now."""

    bump: Bump
    settings: Settings
    ledger: Ledger
    layers: Callable[[], Sequence[Layer]]

    def __call__(self, diff: LockDiff) -> Facts:
        app = self.settings.apps[self.bump.app]
        fleet = self.settings.fleets[app.fleet]
        pins = [*diff.added, *diff.removed, *(pin for change in diff.changed for pin in (change.before, change.after))]
        return Facts(
            releases={(pin.package, pin.version): one for pin in pins if (one := self._release(pin)) is not None},
            advisories=self._advisories(),
            layers=self.layers(),
            hosts=len(fleet.hosts),
            fleet=app.fleet,
            waves=", ".join(map(str, fleet.waves)),
        )

    def _release(self, pin: Pin) -> Release | None:
        known = (one for lookup in self.ledger.all(Lookup, package=pin.package) for one in lookup.releases)
        return next((one for one in known if one.version == pin.version), None)

    def _advisories(self) -> dict[str, Advisory]:
        """Those that the bump fixes, by what people call them."""
        found: dict[str, Advisory] = {}
        for part in self.bump.parts if self.bump.advisories else ():
            lookups = self.ledger.all(Lookup, package=part.package)
            bulletins = self.ledger.all(Bulletin, package=part.package)
            said = [*(source.advisories for source in lookups), *(source.advisories for source in bulletins)]
            found |= {one.name: one for ones in said for one in ones if one.name in self.bump.advisories}
        return found
