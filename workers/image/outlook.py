"""What an app's next image is made of, and the layers of its newest one: for `toplayer plan` and `toplayer replay`."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from watcher.ecosystems import ECOSYSTEMS
from watcher.errors import ToplayerError
from watcher.head import Head
from watcher.image import Digest, Platform
from watcher.known import Known as Index
from watcher.layers.outlook import Outlook
from watcher.layers.part import CODE, VENV, Layer, Terms
from watcher.layers.rates import rates
from watcher.layers.sizes import TYPICAL, packed_size
from watcher.ledger import Ledger
from watcher.machine import Machine, machines, share, story
from watcher.pin import Pin
from watcher.release import Release
from watcher.rollout import Rollout
from watcher.settings import AppSettings, Settings
from workers.image.base import open_base
from workers.image.component import AUTOLOADER, Component, package
from workers.image.errors import BuildRefused
from workers.image.parts import Known, known
from workers.image.plan import Found, parts, room
from workers.oci.stores import open_store

SMALL = 1000
"""Bytes of what belongs to no package: what makes a directory a virtual environment, and Composer's own files."""
CODE_SIZE = 300_000
"""Bytes that an application's own files are taken to have until an image was built."""


def outlook(app: str, settings: Settings, ledger: Ledger, now: datetime) -> Outlook:
    """The outlook of an app. Raises what stores raise, and `BuildRefused` for one that is built from a Dockerfile."""
    mine, head = settings.apps[app], ledger.find(Head, app=app)
    if mine.image.builder != "layers":
        hint = "`toplayer lint` says how a Dockerfile would do better"
        raise BuildRefused(app, "its layers are those of its Dockerfile, which nobody here plans", hint)
    pins = wanted(head.pins if head else (), mine)
    image = newest(app, ledger)
    store = open_store(mine.image.repository, settings.registries)
    built = known(store, image, Platform.parse(mine.image.platform)) if image else Known()
    php = any(pin.ecosystem == "packagist" for pin in pins)
    others = [CODE, *([VENV] if mine.image.python else []), *([AUTOLOADER] if php else [])]
    components = [*(package(pin, mine.image, "") for pin in pins), *(Component(name, name) for name in others)]
    sizes = _sizes(pins, built, components, mine, Index.read(settings, ledger))
    # Whether a part has moved since the image was built is no matter here: by its name it is the same.
    nameless = [replace(one, key=one.name) for one in components]
    known_parts = tuple(parts(nameless, sizes, rates(app, pins, settings, ledger, now), built.churn))
    today = tuple(_layer(one) for one in built.stack)
    hosts = machines(mine.fleet, settings.fleets[mine.fleet], ledger.all(Machine, fleet=mine.fleet))
    terms = Terms(payback=mine.image.payback, classic=share(hosts))
    terms = room(terms, _layers_of_base(mine, settings, head.pins if head else ()))
    return Outlook(
        image=image or "", today=today, parts=known_parts, terms=terms, hosts=story(mine.image.packing, hosts)
    )


def _layer(found: Found) -> Layer:
    held = tuple((name, name) for name in found.names)
    return Layer(parts=held, size=found.size, since=found.names[0] if found.since else "", steps=found.steps)


def wanted(pins: Sequence[Pin], app: AppSettings) -> list[Pin]:
    """The pins that are installed in the app's image, each package once. What it stands on is not."""
    found = {
        f"{pin.ecosystem}:{pin.package}": pin
        for pin in pins
        if pin.lock != app.image.base_file and ECOSYSTEMS[pin.ecosystem].target(app.image).wants(pin)
    }
    return list(found.values())


def newest(app: str, ledger: Ledger) -> Digest | None:
    """The newest image that was built."""
    rollouts = ledger.all(Rollout, app=app, order="-generation")
    return next((rollout.image for rollout in rollouts if rollout.image), None)


def _sizes(
    pins: Sequence[Pin], built: Known, components: Sequence[Component], app: AppSettings, index: Index
) -> dict[str, int]:
    """As they are in the image; else of the index's file; else as is usual."""
    alone = {found.names[0]: found.size for found in built.stack if len(found.names) == 1 and not found.since}
    found = {VENV: SMALL, AUTOLOADER: SMALL, CODE: CODE_SIZE} | alone
    for pin, component in zip(pins, components, strict=False):
        known_ones = {release.version: release for release in index.of(pin).releases}
        release = known_ones.get(pin.version, Release(package=pin.package, version=pin.version))
        target = ECOSYSTEMS[pin.ecosystem].target(app.image)
        fact = built.facts.get(component.key)
        exact = fact.size if fact else alone.get(component.name)
        found[component.name] = exact or packed_size(pin, release, target) or TYPICAL
    return found


def _layers_of_base(app: AppSettings, settings: Settings, pins: Sequence[Pin]) -> int:
    named = [f"{pin.package}{pin.version and f'@{pin.version}'}" for pin in pins if pin.lock == app.image.base_file]
    try:
        return len(
            open_base(
                named[-1] if named else app.image.base, Platform.parse(app.image.platform), settings.registries
            ).layers
        )
    except (ToplayerError, ValueError):
        return 0
