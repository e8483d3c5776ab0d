"""What an app's next image is made of, and the layers of its newest one: for `toplayer plan` and `toplayer replay`."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from urllib.parse import quote

from watcher.ecosystems import ECOSYSTEMS
from watcher.errors import ToplayerError
from watcher.head import Head
from watcher.image import Digest, Platform
from watcher.known import Known as Index
from watcher.layers.outlook import Ground, Outlook
from watcher.layers.part import CODE, VENV, Layer, Terms
from watcher.layers.rates import rates
from watcher.layers.sizes import TYPICAL, packed_size
from watcher.ledger import Ledger
from watcher.machine import Machine, machines, share, story
from watcher.pin import Pin
from watcher.release import Release
from watcher.rollout import Rollout
from watcher.settings import AppSettings, Settings
from watcher.source import Source
from workers.image.base import open_base
from workers.image.component import AUTOLOADER, SHARED, Component, package
from workers.image.errors import BuildRefused
from workers.image.parts import Known, known
from workers.image.plan import Found, parts, room
from workers.oci.stores import open_store

SMALL = 1000
"""Bytes of what belongs to no package: what makes a directory a virtual environment, and Composer's own files."""
CODE_SIZE = 300_000
"""Bytes that an application's own files are taken to have until an image was built."""


def outlook(app: str, settings: Settings, ledger: Ledger, now: datetime, sources: Sequence[Source] = ()) -> Outlook:
    """The outlook of an app. Raises what stores raise, and `BuildRefused` for one that is built from a Dockerfile.

    `sources` are what the app's locks take from no index, as far as anybody knows.
    """
    mine, head = settings.apps[app], ledger.find(Head, app=app)
    if mine.image.builder != "layers":
        hint = "`toplayer lint` says how a Dockerfile would do better"
        raise BuildRefused(app, "its layers are those of its Dockerfile, which nobody here plans", hint)
    pins = wanted(head.pins if head else (), mine)
    image = newest(app, ledger)
    store = open_store(mine.image.repository, settings.registries)
    built = known(store, image, Platform.parse(mine.image.platform)) if image else Known()
    packages = [package(pin, mine.image, "") for pin in pins]
    components = [*packages, *_others(packages, built, mine, sources)]
    sizes = _sizes(pins, built, components, mine, Index.read(settings, ledger))
    # Whether a part has moved since the image was built is no matter here: by its name it is the same.
    nameless = [replace(one, key=one.name) for one in components]
    known_parts = tuple(parts(nameless, sizes, rates(app, pins, settings, ledger, now), built.churn))
    hosts = machines(mine.fleet, settings.fleets[mine.fleet], ledger.all(Machine, fleet=mine.fleet))
    ground = _ground(mine, settings, head.pins if head else ())
    terms = Terms(payback=mine.image.payback, classic=share(hosts))
    return Outlook(
        image=image or "",
        today=tuple(_layer(one) for one in built.stack if one.names != (SHARED,)),
        parts=known_parts,
        terms=room(terms, ground.layers if ground else 0),
        base=ground,
        shared=sum(one.size for one in built.stack if one.names == (SHARED,)),
        hosts=story(mine.image.packing, hosts),
    )


def _others(
    packages: Sequence[Component], built: Known, app: AppSettings, sources: Sequence[Source]
) -> Iterator[Component]:
    """What is in the image besides the packages that are pinned on an index."""
    php = any(one.name.startswith("packagist:") for one in packages)
    names = [CODE, *(f"{CODE}:{quote(path)}" for path in app.image.split)]
    names += [VENV] if app.image.python else []
    names += [AUTOLOADER] if php else []
    names += [f"pypi:{source.package}" for source in sources if source.package]
    # The newest image knows better which directories of the code there are.
    here = {name for found in built.stack for name in found.names}
    names = [name for name in names if not here or name in here or not name.startswith(f"{CODE}:")]
    pinned = {one.name for one in packages}
    yield from (Component(name, name) for name in dict.fromkeys(names) if name not in pinned)


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
    held = dict(_held(built))
    found = {one.name: CODE_SIZE if one.name.partition(":")[0] == CODE else SMALL for one in components} | held
    for pin, component in zip(pins, components, strict=False):
        known_ones = {release.version: release for release in index.of(pin).releases}
        release = known_ones.get(pin.version, Release(package=pin.package, version=pin.version))
        target = ECOSYSTEMS[pin.ecosystem].target(app.image)
        fact = built.facts.get(component.key)
        exact = fact.size if fact else held.get(component.name)
        found[component.name] = exact or packed_size(pin, release, target) or TYPICAL
    return found


def _held(built: Known) -> Iterator[tuple[str, int]]:
    """How large each component of an image is there."""
    for found in built.stack:
        if len(found.names) == 1 and not found.since:
            yield found.names[0], found.size
        elif not found.since:
            keys = zip(found.names, found.keys, strict=False)
            yield from ((name, built.facts[key].size) for name, key in keys if key in built.facts)


def _ground(app: AppSettings, settings: Settings, pins: Sequence[Pin]) -> Ground | None:
    """What the image stands on; None, if it stands on nothing, or if that cannot be found out now."""
    named = [f"{pin.package}{pin.version and f'@{pin.version}'}" for pin in pins if pin.lock == app.image.base_file]
    address = named[-1] if named else app.image.base
    try:
        base = open_base(address, Platform.parse(app.image.platform), settings.registries)
    except (ToplayerError, ValueError):
        return None
    return Ground(base.name, len(base.layers), sum(layer.size for layer in base.layers)) if base.layers else None
