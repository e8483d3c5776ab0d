"""The image that another one stands on, as a target: any one that its registry has can take the place of the last."""

from dataclasses import dataclass

from watcher.pin import Pin
from watcher.release import Release
from watcher.target import Fit


@dataclass(frozen=True, slots=True)
class BaseImage:
    """What a Dockerfile names. Whether the image can stand on it is seen when it is built."""

    def wants(self, pin: Pin) -> bool:
        """See `Target`."""
        return True

    def fit(self, pin: Pin, release: Release) -> Fit:
        """See `Target`."""
        return Fit(release.files)

    def elsewhere(self) -> "BaseImage":
        """See `Target`."""
        return self
