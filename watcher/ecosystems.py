"""What belongs together: a version scheme, what installs, and whom to ask. A new ecosystem is one row here."""

from collections.abc import Callable
from dataclasses import dataclass

from watcher.base import BaseImage
from watcher.indexes import packagist, pypi
from watcher.php import Php
from watcher.settings import ImageSettings
from watcher.target import Several, Target
from watcher.versions import SCHEMES, Scheme
from watcher.wheels import Wheels


@dataclass(frozen=True, slots=True)
class Ecosystem:
    """A world of packages.

    `address` is that of the public index, if there is one. `target` tells what an image of these settings can install.
    `well_known` is a package to ask an index for in order to see whether it answers; one that does not have it answers,
    too. Empty: there is none that everybody may be asked for.
    """

    address: Callable[[], str]
    scheme: Scheme
    target: Callable[[ImageSettings], Target]
    well_known: str


def _wheels(image: ImageSettings) -> Target:
    return Several.of([Wheels.of(image.on(platform)) for platform in image.every_platform])


ECOSYSTEMS = {
    "packagist": Ecosystem(packagist.address, SCHEMES["packagist"], Php.of, "psr/log"),
    "pypi": Ecosystem(pypi.address, SCHEMES["pypi"], _wheels, "pip"),
    "oci": Ecosystem(str, SCHEMES["oci"], lambda _: BaseImage(), ""),
}
"""By the name that pins, bumps and index settings have for it."""
