"""What a host is to run: the app's `run` table, with its secrets filled in."""

from collections.abc import Iterator

from watcher.secret import Secret
from watcher.settings import AppSettings, RegistrySettings, Settings
from watcher.settings.image import BYTECODE_CACHE
from workers.fleet.health import probe
from workers.fleet.host import Service
from workers.oci.stores import url_of


def service_of(settings: Settings, name: str, app: AppSettings) -> Service:
    """What a host is to run, with its secrets filled in."""
    run, host = app.run, app.image.repository.partition("/")[0]
    registry = settings.registries.get(host, RegistrySettings())
    health = run.health
    asks = probe(health.http, app.image.interpreter, health.timeout) if health.http else health.command
    secrets = [value.reveal() for value in run.env.values() if isinstance(value, Secret)]
    return Service(
        name=name,
        repository=app.image.repository,
        command=run.command,
        env={key: value.reveal() if isinstance(value, Secret) else value for key, value in run.env.items()},
        secrets=tuple(secrets),
        volumes=(*run.volumes, *_kept(name, app)),
        ports=run.ports,
        network=run.network,
        networks=run.networks,
        aliases=run.aliases,
        addresses=run.addresses,
        labels=run.labels,
        engine=run.engine,
        adopts=run.adopts,
        project=run.compose.project if run.compose else "",
        project_service=run.compose.service if run.compose else "",
        replicas=run.replicas,
        parallelism=run.parallelism,
        puller=settings.fleets[app.fleet].puller,
        patience=settings.fleets[app.fleet].patience,
        keep=settings.fleets[app.fleet].keep,
        tmpfs=run.tmpfs,
        read_only=run.read_only,
        init=run.init,
        memory=run.memory,
        cpus=run.cpus,
        pids=run.pids,
        restart=run.restart,
        order=run.order,
        stop_signal=run.stop_signal,
        stop_grace=run.stop_grace,
        health_command=asks,
        health_url=health.http,
        health_timeout=health.timeout,
        steady=health.steady,
        within=health.within,
        registry=url_of(host, registry),
        ca=registry.ca or "",
        username=registry.username,
        password=registry.password.reveal() if registry.password else "",
    )


def _kept(name: str, app: AppSettings) -> Iterator[str]:
    """The volume for what Python has compiled, unless the settings have something else in that place.

    Who runs there must be able to write to it: an engine gives a new volume the owner that the directory has in the
    image.
    """
    taken = {volume.split(":")[1].rstrip("/") for volume in app.run.volumes} | {*app.run.tmpfs}
    if app.image.bytecode == "cache" and BYTECODE_CACHE not in taken:
        yield f"toplayer-{name}-python:{BYTECODE_CACHE}"
