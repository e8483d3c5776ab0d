"""A running container → a specification of our own that makes the same one.

An engine mixes what was asked for with what the image and its own defaults said, so no reading of a container can tell
them apart. But the engine itself can be asked what comes of a specification: a trial container is created (and never
started), looked at, and removed. What the settings have no word for shows as a difference, and is said in the engine's
own words; what still differs after that is told.
"""

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from watcher.image import Digest
from workers.fleet.engine import Engine
from workers.fleet.host import HostRefused, Service
from workers.fleet.labels import SERVICE, policy_text
from workers.fleet.spec import create_payload, endpoint, goal_of
from workers.fleet.volumes import is_unnamed, ports_of, volumes_of

PROJECT, COMPOSED = "com.docker.compose.project", "com.docker.compose.service"
_FOREIGN = ("com.docker.compose.", "io.toplayer.")
_IGNORED = {
    # Who is attached to it, what it is called, and what is compared in another way.
    "Config": (
        *("AttachStdin", "AttachStdout", "AttachStderr", "Image", "Hostname"),
        *("Labels", "Env", "ExposedPorts", "Volumes"),
    ),
    # How a volume was asked for does not matter where it is there.
    "HostConfig": ("ContainerIDFile", "ConsoleSize", "Binds", "Mounts", "VolumesFrom", "RestartPolicy", "NetworkMode"),
}
_SAME = {"StopSignal": "SIGTERM", "StopTimeout": 10, "ShmSize": 64 << 20}
"""What an engine does when nothing is said."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """`service` makes the same container but for what `differs`. `unsure` is what could not be told apart."""

    service: Service
    image: str
    unsure: tuple[str, ...]
    differs: tuple[str, ...]


def adopt(engine: Engine, container: str, app: str) -> Adoption:
    """The specification of a container, for an app of this name. A host's error; nothing is changed on the host."""
    listed = next((one for one in engine.containers() if container in (one.name, one.id, one.id[:12])), None)
    if listed is None:
        known = ", ".join(sorted(one.name for one in engine.containers())[:20]) or "none"
        raise HostRefused(engine.host, f"there is no container {container} (there are: {known})")
    if "com.docker.swarm.service.name" in listed.labels:
        what = f"{container} is a task of the swarm's service {listed.labels['com.docker.swarm.service.name']}"
        raise HostRefused(
            engine.host, what, "the swarm would start another one; an app of its name `adopts` the service"
        )
    found, image = engine.inspect(listed.id), engine.image(listed.image) or {}
    first = service_of(found, image, app)
    words = _words(found, _tried(engine, first, found))
    service = replace(first, engine=words)
    differs = (*_differences(found, _tried(engine, service, found)), *_called_otherwise(found, service))
    return Adoption(service, str(found["Config"]["Image"]), tuple(_unsure(found, image)), differs)


def _called_otherwise(found: Mapping[str, Any], service: Service) -> Iterator[str]:
    name = found["Name"].lstrip("/")
    if _networks(found) and name not in (service.name, f"{service.project}-{service.project_service}-1"):
        yield f"others on its networks know it as {name} now, and would as {service.name}: call the app {name}"


def service_of(found: Mapping[str, Any], image: Mapping[str, Any], app: str) -> Service:
    """What our settings can say of the container: what is not as in its image, and not as by default. Pure."""
    config, host, default = found["Config"], found["HostConfig"], image.get("Config") or {}
    labels = config.get("Labels") or {}
    mode = host.get("NetworkMode") or ""
    networks = [name for name in _networks(found) if name != mode]
    entered = config.get("Entrypoint") == default.get("Entrypoint")
    memory = host.get("Memory") or None
    return Service(
        name=app,
        repository="adopted",
        command=tuple(config.get("Cmd") or ()) if config.get("Cmd") != default.get("Cmd") or not entered else (),
        env=dict(entry.partition("=")[::2] for entry in _beyond(config.get("Env"), default.get("Env"))),
        volumes=tuple(volumes_of(found)),
        ports=tuple(ports_of(host.get("PortBindings") or {})),
        network="" if mode in ("default", "bridge") else mode,
        networks=tuple(networks) if mode not in ("default", "bridge", "host", "none") else (),
        aliases=tuple(sorted(_aliases(found) - {app, labels.get(COMPOSED, "")})),
        addresses={name: address for name in _networks(found) if (address := _address(found, name))},
        labels={
            key: value
            for key, value in labels.items()
            if (default.get("Labels") or {}).get(key) != value and not key.startswith(_FOREIGN)
        },
        tmpfs=tuple(sorted(host.get("Tmpfs") or {})),
        read_only=bool(host.get("ReadonlyRootfs")),
        init=bool(host.get("Init")),
        memory=memory,
        cpus=host["NanoCpus"] / 1e9 if host.get("NanoCpus") else None,
        pids=host["PidsLimit"] if (host.get("PidsLimit") or 0) > 0 else None,
        restart=policy_text(host.get("RestartPolicy")),
        stop_signal=_signal(config, default),
        stop_grace=timedelta(seconds=config["StopTimeout"] if config.get("StopTimeout") is not None else 10),
        adopts="" if PROJECT in labels else found["Name"].lstrip("/"),
        project=labels.get(PROJECT, ""),
        project_service=labels.get(COMPOSED, ""),
    )


def _tried(engine: Engine, service: Service, found: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an engine would make of the specification. The trial container is created, looked at, and removed."""
    goal = goal_of(service, Digest(found["Image"]), 0)
    # Neither Compose nor we ourselves are to take it for one of ours.
    payload = create_payload(service, goal, None) | {"Image": found["Image"], "Labels": dict(service.labels)}
    id = engine.create(f"toplayer-trial-{secrets.token_hex(6)}", payload)
    try:
        for network in service.networks:
            engine.join(id, network, endpoint(service, network))
        return engine.inspect(id)
    finally:
        engine.remove(id, volumes=True)


def _words(found: Mapping[str, Any], tried: Mapping[str, Any]) -> dict[str, Any]:
    """What differs and has no setting of ours, as the engine would be told it."""
    words: dict[str, Any] = {}
    for part in ("Config", "HostConfig"):
        said = {
            key: _said(key, was) for key, was, _ in _pairs(part, found, tried) if was is not None and key not in _SET
        }
        if part == "Config":
            words |= said
        elif said:
            words["HostConfig"] = said
    name, mode = found["Config"].get("Hostname"), str(found["HostConfig"].get("NetworkMode"))
    if name and name != found["Id"][:12] and not mode.startswith(("host", "container:")):
        words["Hostname"] = name
    return words


_SET = ("Cmd", "StopSignal", "StopTimeout", "PortBindings", "Tmpfs", "ReadonlyRootfs", "Init", "Memory", "NanoCpus",
        "PidsLimit", "AutoRemove")  # fmt: skip
"""What a setting says, or must not be: a container that removes itself is not there to go back to."""


def _differences(found: Mapping[str, Any], tried: Mapping[str, Any]) -> Iterator[str]:
    for part in ("Config", "HostConfig"):
        for key, was, now in _pairs(part, found, tried):
            yield f"{part}.{key}: {_short(was)} would be {_short(now)}"
    for what, read in _READ.items():
        was, now = read(found), read(tried)
        if was != now:
            yield f"{what}: {_short(was)} would be {_short(now)}"
    lost = sorted(_aliases(found) - _aliases(tried))
    if lost:
        yield f"others on its networks would not find it as {', '.join(lost)}"


def _pairs(part: str, found: Mapping[str, Any], tried: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for key in sorted({*found[part], *tried[part]} - {*_IGNORED[part]}):
        was, now = (_plain(key, one[part].get(key)) for one in (found, tried))
        if was != now:
            yield key, found[part].get(key), tried[part].get(key)


def _plain(key: str, value: Any) -> Any:
    """A value as it counts: what is not said is what the engine does then."""
    value = _said(key, value)
    return _SAME.get(key) if value in (None, "", 0, False, [], {}) else value


def _said(key: str, value: Any) -> Any:
    """A value as an engine is told it. In `/db:/shop/alias` it has put the container's own name."""
    if key != "Links" or not value:
        return value
    return sorted(f"{link.split(':')[0].lstrip('/')}:{link.rpartition('/')[2]}" for link in value)


def _labels(found: Mapping[str, Any]) -> dict[str, str]:
    labels: Mapping[str, str] = found["Config"].get("Labels") or {}
    return {key: value for key, value in sorted(labels.items()) if not key.startswith(_FOREIGN) and key != SERVICE}


def _mounts(found: Mapping[str, Any]) -> Iterator[str]:
    for mount in found.get("Mounts") or ():
        source = mount.get("Name") or mount.get("Source") or ""
        how = "rw" if mount.get("RW") else "ro", mount.get("Driver"), mount.get("Propagation")
        yield ":".join(filter(None, (mount.get("Type"), source, mount["Destination"], *how)))


def _networks(found: Mapping[str, Any]) -> list[str]:
    known = found["NetworkSettings"].get("Networks") or {}
    return [name for name in known if name not in ("bridge", "host", "none")]


def _aliases(found: Mapping[str, Any]) -> set[str]:
    """The names in the networks' own DNS, but for those that nobody else can rely on."""
    known = found["NetworkSettings"].get("Networks") or {}
    names = {alias for name in _networks(found) for alias in known[name].get("Aliases") or ()}
    return names - {found["Id"][:12], found["Name"].lstrip("/")}


def _address(found: Mapping[str, Any], network: str) -> str:
    """The address on a network that somebody asked for; one that the engine chose is none."""
    asked = found["NetworkSettings"]["Networks"][network].get("IPAMConfig") or {}
    return str(asked.get("IPv4Address") or asked.get("IPv6Address") or "")


def _endpoints(found: Mapping[str, Any]) -> Iterator[str]:
    """What else a network was told about the container."""
    for name, told in (found["NetworkSettings"].get("Networks") or {}).items():
        said = {**told, **(told.get("IPAMConfig") or {})}
        for key in ("IPv4Address", "IPv6Address", "LinkLocalIPs", "Links", "DriverOpts", "GwPriority"):
            if said.get(key):
                yield f"{name}: {key} {_short(said[key])}"


_READ: Mapping[str, Callable[[Mapping[str, Any]], object]] = {
    "Config.Env": lambda found: sorted(found["Config"].get("Env") or ()),
    "Config.ExposedPorts": lambda found: sorted(found["Config"].get("ExposedPorts") or ()),
    "Config.Labels": _labels,
    "HostConfig.RestartPolicy": lambda found: policy_text(found["HostConfig"].get("RestartPolicy")),
    "mounts": lambda found: sorted(_mounts(found)),
    "networks": lambda found: sorted(_networks(found)),
    "on its networks": lambda found: sorted(_endpoints(found)),
}
"""What counts where the order does not matter, or the engine writes the same thing in several ways."""


def _beyond(mine: Iterable[str] | None, default: Iterable[str] | None) -> list[str]:
    known = set(default or ())
    return [entry for entry in mine or () if entry not in known]


def _signal(config: Mapping[str, Any], default: Mapping[str, Any]) -> str:
    mine, usual = config.get("StopSignal") or "SIGTERM", default.get("StopSignal") or "SIGTERM"
    return "" if mine == usual else mine


def _unsure(found: Mapping[str, Any], image: Mapping[str, Any]) -> Iterator[str]:
    """What the container and its image say alike: nobody can know who said it, and it is taken as the image's."""
    config, default = found["Config"], image.get("Config") or {}
    for key in ("Entrypoint", "Cmd", "WorkingDir", "User", "Healthcheck", "StopSignal"):
        if config.get(key) and config.get(key) == default.get(key):
            yield f"{key} ({_short(config[key])}) is as in its image, and will be what the next image says"
    same = sorted(entry.partition("=")[0] for entry in set(config.get("Env") or ()) & set(default.get("Env") or ()))
    if same:
        yield f"{', '.join(same)} in its environment are as in its image, and will be what the next image says"
    for name in _networks(found):
        told = found["NetworkSettings"]["Networks"][name]
        if (mac := told.get("MacAddress")) and mac != _usual(told) and not config.get("MacAddress"):
            yield f"its hardware address on {name} ({mac}) may be one that somebody chose; it will be another"
    for mount in found.get("Mounts") or ():
        if is_unnamed(mount):
            yield f"the volume at {mount['Destination']} had no name; it goes on under the one that the engine gave it"


def _usual(endpoint: Mapping[str, Any]) -> str:
    """The hardware address that an engine makes of the other one (Docker before 28)."""
    parts = str(endpoint.get("IPAddress") or "").split(".")
    return "02:42:" + ":".join(f"{int(part):02x}" for part in parts) if len(parts) == 4 else ""


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 120 else f"{text[:119]}…"
