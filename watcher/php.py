"""An image with PHP, as a target: which releases of Composer packages it can take."""

from dataclasses import dataclass

from watcher.lockfiles.composer_lock import DEV
from watcher.pin import Pin
from watcher.release import Release
from watcher.settings import ImageSettings
from watcher.target import Fit
from watcher.versions.composer import is_a_branch, is_stable_enough, satisfies, stability


@dataclass(frozen=True, slots=True)
class Php:
    """PHP `version` (`8.2` or `8.2.10`; empty: whatever the base has, so that only Composer judges).

    Without a patch level it is taken to be 0: a release that needs a later one is refused.
    """

    version: str = ""

    @classmethod
    def of(cls, image: ImageSettings) -> "Php":
        """What the image of these settings can take."""
        return cls(image.php)

    def wants(self, pin: Pin) -> bool:
        """See `Target`: what is there for development is not in an image."""
        return pin.marker != DEV

    def fit(self, pin: Pin, release: Release) -> Fit:
        """See `Target`. Extensions are Composer's to judge, by what the project says of its platform."""
        if is_a_branch(release.version):
            return Fit(rule="branch", said="is a branch, which only a person moves to")
        if pin.stability and not is_stable_enough(release.version, pin.stability):
            mine = stability(release.version)
            return Fit(rule="stability", said=f"is of stability {mine}, and the project lets in {pin.stability}")
        if not self._runs(release.needs.get("php", "")):
            return Fit(rule="php", said=f"needs PHP {release.needs['php']}, and the image has {self.version}")
        files = tuple(file for file in release.files if file.yanked is None)
        return Fit(files) if files else Fit(rule="dist", said="has nothing to install")

    def elsewhere(self) -> "Php":
        """See `Target`. Composer locks for one PHP, whatever a package is there for."""
        return self

    def _runs(self, constraint: str) -> bool:
        try:
            return not (constraint and self.version) or satisfies(self.version, constraint)
        except ValueError:
            return False
