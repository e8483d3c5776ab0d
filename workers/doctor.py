"""`toplayer doctor`: looks at everything that the settings name, one thing after the other, and changes nothing."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import sentry_sdk
from kombu import Connection
from kombu.exceptions import OperationalError

from watcher.advisories import SOURCES
from watcher.cli.hands import Finding
from watcher.dockerfile.settings import DockerfileSettings
from watcher.ecosystems import ECOSYSTEMS
from watcher.errors import Refused, ToplayerError
from watcher.fleet import HostSettings
from watcher.head import Head
from watcher.http import Http, Limits
from watcher.image import Platform, Reference
from watcher.ledger import Ledger, utcnow
from watcher.lookup import Bulletin, Lookup, Outcome
from watcher.programs import needed
from watcher.settings import AppSettings, Settings
from watcher.units import size
from watcher.view import remedy
from workers import sentry
from workers.confined import can_confine
from workers.dockerfile.engine import Engine
from workers.fleet import helper
from workers.fleet.reach import reach
from workers.fleet.targets import connect
from workers.git import Repository
from workers.image.base import Base, open_base
from workers.image.sandbox import Sandbox
from workers.indexes import open_index
from workers.notify.tell import channel
from workers.oci.stores import open_store
from workers.oci.tags import Tags
from workers.propose.forges import login_of, open_forge
from workers.propose.survey import survey
from workers.scratch import scratch
from workers.steps.service import service_of

_LITTLE = 2_000_000_000
"""Bytes of free space in the state directory under which a build may well run out of it."""

_CONFINED = "can write to their own directories, and nowhere else (Landlock)"
_NOT_CONFINED = "can write wherever toplayer can: this kernel has no Landlock (Linux 5.19), or does not let us use it"


class Unwell(Refused):
    """Something that was looked at is not as it should be."""

    def __init__(self, said: str, hint: str = "") -> None:
        self.said, self.hint = said, hint
        super().__init__(said, hint)

    def __str__(self) -> str:
        return self.said


def examine(settings: Settings, test_sentry: bool) -> Iterator[Finding]:
    """A finding for each thing, in the order in which a release meets them."""
    yield Finding("configuration", True, f"{settings.path}: {', '.join(settings.apps) or 'no app yet'}")
    for program, package in needed(settings).items():
        yield _found(program, lambda program=program, package=package: _program(program, package))  # type: ignore[misc]
    yield _found("state directory", lambda: _space(settings))
    yield Finding("lock tools", True, _CONFINED if can_confine() else _NOT_CONFINED)
    yield _found("ledger", lambda: _ledger(settings))
    if settings.broker_url:
        yield _found("broker", lambda: _broker(settings))
    for index in (name for name, one in settings.indexes.items() if ECOSYSTEMS[one.kind].well_known):
        yield _found(f"index {index}", lambda index=index: _index(settings, index))  # type: ignore[misc]
    for source in settings.advisories:
        yield _found(f"advisories {source}", lambda source=source: _source(settings, source))  # type: ignore[misc]
    for name, app in settings.apps.items():
        yield from _app(settings, name, app)
    for receiver in settings.notify.names():
        yield _found(receiver, lambda receiver=receiver: _receiver(settings, receiver))  # type: ignore[misc]
    if settings.sentry is not None and test_sentry:
        yield _found("sentry", lambda: _sentry(settings))


def _found(subject: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, True, look())
    except ToplayerError as error:
        return Finding(subject, False, str(error), error.hint)


def _program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Unwell(f"{name} is not installed", f"install it: apt-get install {package}")
    return found


def _space(settings: Settings) -> str:
    state = Path(settings.toplayer.state)
    try:
        state.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(state).free
    except OSError as error:
        raise Unwell(f"{state} cannot be used: {error.strerror}", "make it, and give it to this user") from error
    if free < _LITTLE:
        raise Unwell(f"{state} has only {size(free)} free", "builds need room for wheels and layers")
    return f"{state}, {size(free)} free"


def _ledger(settings: Settings) -> str:
    ledger = Ledger(settings.ledger_url)
    try:
        return f"{ledger.where}, {ledger.last_event()} events"
    finally:
        ledger.close()


def _broker(settings: Settings) -> str:
    with Connection(settings.broker_url, connect_timeout=5, transport_options={"socket_timeout": 5}) as connection:
        where = str(connection.as_uri())
        try:
            connection.ensure_connection(max_retries=1)
            connection.default_channel.client.ping()
        except (OperationalError, OSError) as error:
            raise Unwell(f"{where} did not answer: {error}", "is Redis running, and reachable from here?") from error
    return where


def _index(settings: Settings, name: str) -> str:
    """Asks about one package that surely is there: one that an app pins, or `pip`."""
    kind = settings.indexes[name].kind
    index = open_index(name, settings)
    with Http(settings.toplayer.contact, limits=Limits(attempts=1, deadline=20.0)) as http:
        (found,) = index.look_up([Lookup(index=name, package=ECOSYSTEMS[kind].well_known)], http, utcnow())
    if found.outcome is Outcome.UNKNOWN:
        raise Unwell(found.reason, f"see indexes.{name} in the configuration, and the way there from this machine")
    return f"answers ({len(found.releases)} releases of {found.package})"


def _source(settings: Settings, name: str) -> str:
    """Asks about the package that every index has."""
    ecosystem, asked = next(iter(ECOSYSTEMS)), settings.advisories[name]
    bare = Bulletin(source=name, ecosystem=ecosystem, package=ECOSYSTEMS[ecosystem].well_known)
    with Http(settings.toplayer.contact, limits=Limits(attempts=1, deadline=20.0)) as http:
        (found,) = SOURCES[asked.kind](asked).look_up([bare], http, utcnow())
    if found.outcome is Outcome.UNKNOWN:
        raise Unwell(found.reason, remedy(name))
    return f"answers ({len(found.advisories)} advisories about {found.package})"


def _app(settings: Settings, name: str, app: AppSettings) -> Iterator[Finding]:
    yield _found(f"{name}: repository", lambda: _repository(settings, name, app))
    if app.forge is not None:
        yield _found(f"{name}: forge", lambda: _forge(settings, app))
    yield _found(f"{name}: image repository", lambda: _store(settings, app))
    if app.image.base_file:
        yield _found(f"{name}: images", lambda: _images(settings, name, app))
    if app.image.builder == "dockerfile":
        yield _found(f"{name}: builder", lambda: _builder(settings, app))
    elif not app.image.base_file:
        yield _found(f"{name}: base", lambda: _base(settings, app))
    if app.image.sandbox is not None:
        sandbox = Sandbox(app.image.sandbox, Base(), Path(settings.toplayer.state))
        yield _found(f"{name}: sandbox", sandbox.engine)
    for host in settings.fleets[app.fleet].by_name.values():
        yield _found(f"{name}: host {host.name}", lambda host=host: _host(settings, name, app, host))  # type: ignore[misc]
        if settings.fleets[app.fleet].puller and host.kind != "dir" and host.images != "load":
            yield _found(f"{name}: puller on {host.name}", lambda host=host: _puller(settings, name, app, host))  # type: ignore[misc]


def _repository(settings: Settings, name: str, app: AppSettings) -> str:
    repository = Repository.of(name, app, Path(settings.toplayer.state), login_of(app))
    head = survey(Head(app=name), app, repository, utcnow())
    return f"{repository.where} at {head.commit[:12]}, {len(head.pins)} pins in {', '.join(app.pinned_in)}"


def _forge(settings: Settings, app: AppSettings) -> str:
    with open_forge(app, settings.toplayer.contact) as forge:
        return forge.greet() if forge is not None else "none"


def _store(settings: Settings, app: AppSettings) -> str:
    store = open_store(app.image.repository, settings.registries)
    there = store.manifest("latest") is not None
    return f"{store.where} answers{'' if there else ', no image yet'}"


def _base(settings: Settings, app: AppSettings) -> str:
    if app.image.base == "scratch":
        return "scratch"
    for platform in app.image.every_platform:
        open_base(app.image.base, Platform.parse(platform), settings.registries)
    return f"{app.image.base} for {' and '.join(app.image.every_platform)}"


def _images(settings: Settings, name: str, app: AppSettings) -> str:
    """Asks registries about the images that the app's repository names."""
    repository = Repository.of(name, app, Path(settings.toplayer.state), login_of(app))
    head = survey(Head(app=name), app, repository, utcnow())
    images = sorted({pin.package for pin in head.pins if pin.ecosystem == "oci"})
    with Http(settings.toplayer.contact) as http:
        asked = [Lookup(index="oci", package=image) for image in images]
        bad = [one for one in Tags(settings.registries).look_up(asked, http, utcnow()) if not one.releases]
    for one in bad:
        hint = "push it there, mend its name, or see `registries` in the configuration; `ignore` leaves it alone"
        raise Unwell(one.reason or f"{one.package} is not in its registry", hint)
    return ", ".join(images) or f"none in {app.image.base_file}"


def _builder(settings: Settings, app: AppSettings) -> str:
    how = app.image.dockerfile or DockerfileSettings()
    with scratch(Path(settings.toplayer.state) / "tmp") as mine:
        engine = Engine(how, mine)
        engine.log_in([Reference.parse(app.image.repository)], settings.registries)
    by = f"{engine.client.program}{' buildx' if engine.client.has_buildx else ''}"
    cache = "" if engine.keeps_caches or not how.cache else f"; it cannot keep a cache in {how.cache}"
    return f"the BuildKit of {engine.address}, by {by}{cache}"


def _host(settings: Settings, name: str, app: AppSettings, host: HostSettings) -> str:
    store = open_store(app.image.repository, settings.registries)
    with connect(host, store) as connection:
        running = connection.running(service_of(settings, name, app))
    return f"{host.address} runs {running.image.short if running.image else 'nothing of ours'}"


def _puller(settings: Settings, name: str, app: AppSettings, host: HostSettings) -> str:
    """Has a helper asked on the host what engine it is beside; nothing is fetched for it."""
    service = service_of(settings, name, app)
    with reach(host) as (engine, supply):
        if engine.image(service.puller) is None:
            return f"{service.puller} is not there yet, and comes before the first pull"
        code, said = helper.tried(engine, service, supply.socket)
    if code:
        lines = said.strip().splitlines() or [f"it ended with {code}"]
        hint = "until it can, toplayer's own connection pulls there, and a link that breaks costs what has come"
        raise Unwell(f"{service.puller} cannot speak to the engine: {lines[-1]}", hint)
    return f"{service.puller} speaks to the engine"


def _receiver(settings: Settings, name: str) -> str:
    channel(name, settings.notify)
    return "its address and secret can be read (nothing was sent)"


def _sentry(settings: Settings) -> str:
    sentry.start(settings)
    sent = sentry_sdk.capture_message("toplayer doctor: a test event")
    sentry_sdk.flush(5)
    return f"test event {sent} was handed over; look for it in Sentry"
