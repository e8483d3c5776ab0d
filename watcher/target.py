"""What an image can install, asked by the policy. One implementation per ecosystem."""

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
