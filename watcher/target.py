"""What an image can install, asked by the policy. One implementation per ecosystem."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from watcher.pin import Pin
from watcher.release import File, Release


@dataclass(frozen=True, slots=True)
class Fit:
    """The files of a release that the target could install; without any, the rule that refused it and what it says."""

    files: tuple[File, ...] = ()
    rule: str = ""
    said: str = ""


class Target(Protocol):
    """The place where packages are installed."""

    def wants(self, pin: Pin) -> bool:
        """Whether the pin is installed there at all."""
        ...

    def fit(self, pin: Pin, release: Release) -> Fit:
        """What of a release, in the place of the pin, can be installed there. Yanked files cannot."""
        ...

    def elsewhere(self) -> "Target":
        """The same for what is in no image: nobody knows where people install it."""
        ...


@dataclass(frozen=True, slots=True)
class Several:
    """Targets of one image, which all have to be able to install what any of them does."""

    targets: tuple[Target, ...]

    @classmethod
    def of(cls, targets: Sequence[Target]) -> Target:
        """One target, if it is one."""
        return targets[0] if len(targets) == 1 else cls(tuple(targets))

    def wants(self, pin: Pin) -> bool:
        """See `Target`."""
        return any(target.wants(pin) for target in self.targets)

    def fit(self, pin: Pin, release: Release) -> Fit:
        """See `Target`. The files are those of all of them."""
        fits = [target.fit(pin, release) for target in self.targets if target.wants(pin)]
        fits = fits or [target.fit(pin, release) for target in self.targets]
        refused = next((fit for fit in fits if not fit.files), None)
        return refused or Fit(tuple({file.filename: file for fit in fits for file in fit.files}.values()))

    def elsewhere(self) -> Target:
        """See `Target`: once is enough."""
        return self.targets[0].elsewhere()
