"""What belongs together: an index, a version scheme and what installs. A new ecosystem is one row here."""

from collections.abc import Callable
from dataclasses import dataclass

from watcher.indexes import INDEXES, Index, packagist, pypi
from watcher.php import Php
from watcher.settings import ImageSettings, IndexSettings
from watcher.target import Target
from watcher.versions import SCHEMES, Scheme
from watcher.wheels import Wheels


@dataclass(frozen=True, slots=True)
class Ecosystem:
    """A world of packages.

    `index` makes an index of its kind, and `address` is that of the public one. `target` tells what an image of these
    settings can install. `well_known` is a package to ask an index for in order to see whether it answers; one that
    does not have it answers, too.
    """

    index: Callable[[IndexSettings], Index]
    address: Callable[[], str]
    scheme: Scheme
    target: Callable[[ImageSettings], Target]
    well_known: str


ECOSYSTEMS = {
    "packagist": Ecosystem(INDEXES["packagist"], packagist.address, SCHEMES["packagist"], Php.of, "psr/log"),
    "pypi": Ecosystem(INDEXES["pypi"], pypi.address, SCHEMES["pypi"], Wheels.of, "pip"),
}
"""By the name that pins, bumps and index settings have for it."""
