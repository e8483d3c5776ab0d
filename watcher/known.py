"""What is known of an app's pins: what indexes say of their packages, and what is said against them."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from watcher.bump import Bump
from watcher.ecosystems import ECOSYSTEMS
from watcher.ledger import Ledger
from watcher.lookup import Bulletin, Lookup
from watcher.past import NOTHING, Past
from watcher.pin import Pin
from watcher.program import program
from watcher.route import answer, unrouted
from watcher.rules import Rules
from watcher.settings import Settings


@dataclass(frozen=True, slots=True)
class Known:
    """What indexes and sources of advisories have said."""

    settings: Settings
    lookups: Mapping[tuple[str, str], Lookup]
    bulletins: Mapping[tuple[str, str], Sequence[Bulletin]]

    @classmethod
    def read(cls, settings: Settings, ledger: Ledger) -> "Known":
        """All of it. What it holds is unpacked only where somebody looks at it."""
        lookups = ledger.all(Lookup, index=list(settings.indexes))
        bulletins: dict[tuple[str, str], list[Bulletin]] = {}
        for bulletin in ledger.all(Bulletin, source=list(settings.advisories), order="source"):
            bulletins.setdefault((bulletin.ecosystem, bulletin.package), []).append(bulletin)
        return cls(settings, {(lookup.index, lookup.package): lookup for lookup in lookups}, bulletins)

    def of(self, pin: Pin) -> Lookup:
        """What is known of the pin's package."""
        return answer(pin, self.settings.indexes, lambda index, package: self.lookups.get((index, package)))

    def against(self, pin: Pin, lookup: Lookup) -> Sequence[Bulletin]:
        """What sources say of the package, as far as they are asked about it at all."""
        index = self.settings.indexes.get(lookup.index)
        return self.bulletins.get((pin.ecosystem, pin.package), ()) if index is not None and index.is_public else ()

    def rules(self, pin: Pin, lookup: Lookup, app: str, past: Past, outside: str = "") -> Rules:
        """What counts for the pin. `outside`: why no image has it."""
        bulletins = self.against(pin, lookup)
        advisories = (*lookup.advisories, *(one for bulletin in bulletins for one in bulletin.advisories))
        return replace(self._rules(pin, lookup, app, past, outside), advisories=advisories)

    def _rules(self, pin: Pin, lookup: Lookup, app: str, past: Past, outside: str) -> Rules:
        """The same without advisories: these are packed, and only unpacked where a decision is made."""
        settings = self.settings.apps[app]
        target = ECOSYSTEMS[pin.ecosystem].target(settings.image)
        return Rules(
            app=app,
            target=target.elsewhere() if outside else target,
            policy=settings.policy.of(pin.package),
            silenced=past.silenced.get(pin.package, {}),
            failed=past.failed.get(pin.package, {}),
            uninformed=self._uninformed(pin, lookup, self.against(pin, lookup)),
            unrouted=unrouted(pin, self.settings.indexes),
            outside=outside,
        )

    def _uninformed(self, pin: Pin, lookup: Lookup, bulletins: Iterable[Bulletin]) -> str:
        index = self.settings.indexes.get(lookup.index)
        heard = {bulletin.source for bulletin in bulletins if bulletin.answered_at is not None}
        silent = [name for name in self.settings.advisories if name not in heard]
        if index is None or not index.is_public or not silent:
            return ""
        return f"{pin.package} is held until {' and '.join(silent)} tells what is known against it"

    def basis(self, pin: Pin, lookup: Lookup, app: str, past: Past = NOTHING, outside: str = "") -> str:
        """All that a decision about the pin is made from, in short. What was said counts by when it was said."""
        rules = self._rules(pin, lookup, app, past, outside)
        rules = replace(rules, policy=rules.policy.of_releases)
        against = [(one.source, one.changed_at) for one in self.against(pin, lookup)]
        return digest(pin, rules, lookup.index, lookup.outcome, lookup.changed_at, against)

    def ground(self, bump: Bump, pins: Iterable[Pin]) -> str:
        """All that a bump is tried on, in short: what its lock pins, and what is known of its packages."""
        pins = [pin for pin in pins if pin.ecosystem == bump.ecosystem]
        moved = {part.package for part in bump.parts}
        return digest(pins, [self.basis(pin, self.of(pin), bump.app) for pin in pins if pin.package in moved])


def digest(*values: object) -> str:
    """A short text that is another one as soon as one of the values is, or this program."""
    return hashlib.blake2b(repr((program(), *values)).encode(), digest_size=16).hexdigest()
