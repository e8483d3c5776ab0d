"""What an app's locks pin, and what of it is in an image."""

from dataclasses import dataclass
from typing import Any

from watcher.ecosystems import ECOSYSTEMS
from watcher.head import Head
from watcher.pin import Pin
from watcher.settings import AppSettings


@dataclass(frozen=True, slots=True)
class Item:
    """A package at a version, however many locks, platforms and groups have it so.

    `pin` speaks for all of them: one that is in the image, if any is. Otherwise `outside` says why none is.
    """

    pin: Pin
    outside: str = ""


def inventory(head: Head, app: AppSettings) -> tuple[Item, ...]:
    """Everything that is pinned, by name. Of a package in several versions those that are in the image come first, and
    older ones before newer ones.
    """
    items = [Item(pin, _outside(pin, app)) for pin in head.pins if pin.ecosystem in ECOSYSTEMS]
    items += [Item(pin, f"only in {pin.lock}") for pin in head.beside if pin.ecosystem in ECOSYSTEMS]
    found: dict[Any, Item] = {}
    for one in sorted(items, key=_rank):
        found.setdefault((one.pin.package, ECOSYSTEMS[one.pin.ecosystem].scheme.key(one.pin.version)), one)
    return tuple(found.values())


def _rank(one: Item) -> Any:
    pin = one.pin
    return pin.package, bool(one.outside), ECOSYSTEMS[pin.ecosystem].scheme.key(pin.version), not pin.direct, pin


def _outside(pin: Pin, app: AppSettings) -> str:
    """Why a pin of one of the image's locks is not in it; empty if it is."""
    if ECOSYSTEMS[pin.ecosystem].target(app.image).wants(pin):
        return ""
    if pin.groups:
        return f"only with {' or '.join(pin.groups)}"
    return f"only {'with' if pin.marker.isalpha() else 'where'} {pin.marker}"
