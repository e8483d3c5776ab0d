"""What layers are made of: one locked package, the virtual environment around the packages, the application's code."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from watcher.pin import Pin
from watcher.settings import ImageSettings
from workers.image.content import sha256_of
from workers.image.entry import Entry, with_parents

FORMAT = 2
"""Grows when the same component is built to other bytes than before: then every layer is built again."""
AUTOLOADER, SHARED = "composer", "shared"
PACKAGES = ("pypi", "packagist")
"""How the names of components begin that are packages."""


@dataclass(frozen=True, slots=True)
class Component:
    """One thing that an image is made of. `name` is `pypi:requests`, `packagist:acme/http`, `venv` or `code`; or
    `composer`: what Composer writes besides packages, its autoloader, `installed.php`, and the proxies in `vendor/bin`;
    or `shared`: the files that count of those that several packages have.

    `key` stands for everything that the bytes of its layer depend on: where it is the same, so is the layer.
    """

    name: str
    key: str
    version: str = ""

    @property
    def is_package(self) -> bool:
        """Whether it is a package of an ecosystem, and nothing of the image's own."""
        return self.name.partition(":")[0] in PACKAGES

    def __str__(self) -> str:
        return f"{self.name}@{self.version}" if self.version else self.name


def package(pin: Pin, image: ImageSettings, index: str) -> Component:
    """The component of a locked package. `index` is the address that it comes from, or all that may have it.

    With hashes in the lock they say what the package is; without them only its index does.
    """
    facts = {
        "package": f"{pin.ecosystem}:{pin.package}",
        "version": pin.version,
        "files": list(pin.hashes) or index,
        "python": image.python,
        "platform": image.platform,
        "libc": image.libc,
        "venv": image.venv,
    }
    return Component(f"{pin.ecosystem}:{pin.package}", key_of(facts), pin.version)


def of_entries(name: str, entries: Iterable[Entry]) -> Component:
    """The component that consists of these entries, and of nothing that has a version."""
    rows = [
        [entry.path, entry.mode, entry.link, sha256_of(entry.content) if entry.content is not None else ""]
        for entry in with_parents(entries)
    ]
    return Component(name, key_of({"name": name, "entries": rows}))


def key_of(facts: Mapping[str, Any]) -> str:
    """A key (32 hexadecimal digits) that is the same exactly for the same facts and the same `FORMAT`."""
    # In ASCII, where names that are no UTF-8 have a spelling, too.
    text = json.dumps({"format": FORMAT, **facts}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:32]
