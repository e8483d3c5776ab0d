"""`toplayer adopt`: the settings that make a container which is there already. It changes nothing."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from watcher.cli.hands import Adopted
from watcher.fleet import HostSettings
from watcher.run import RunSettings
from workers.fleet.adopt import Adoption
from workers.fleet.adopt import adopt as look_at
from workers.fleet.host import HostRefused, Service
from workers.fleet.reach import reach

_SAID = ("adopts", "command", "env", "volumes", "ports", "network", "networks", "aliases", "addresses", "labels",
         "tmpfs", "read_only", "init", "memory", "cpus", "pids", "restart", "stop_signal", "stop_grace")  # fmt: skip
_SECRET = re.compile(r"(?i)(passw|secret|token|api_?key|private|credential|dsn|auth)")


def adopt(host: HostSettings, container: str, app: str) -> Adopted:
    """The settings of `app` that make the container again, as TOML, and what there is to say of them."""
    if host.kind == "dir":
        raise HostRefused(host.name, "it is a directory, and has no containers")
    with reach(host) as (engine, _):
        found = look_at(engine, container, app)
    text = "".join(f"{line}\n" for line in _written(found, app))
    return Adopted(text, found.unsure, (*found.differs, *_unsayable(text, app)))


def _written(found: Adoption, app: str) -> Iterator[str]:
    service, bare = found.service, Service(name=app, repository="adopted")
    yield f"# runs {found.image}"
    yield f"[apps.{_key(app)}.run]"
    for name in _SAID:
        value = getattr(service, name)
        if value != getattr(bare, name):
            yield f"{name} = {_toml(_spoken(name, value))}"
    if service.engine:
        yield ""
        yield f"[apps.{_key(app)}.run.engine]"
        yield from (f"{_key(key)} = {_toml(value)}" for key, value in service.engine.items())
    if service.project:
        yield ""
        yield f"[apps.{_key(app)}.run.compose]"
        yield f"project = {_toml(service.project)}"
        yield f"service = {_toml(service.project_service)}"


def _spoken(name: str, value: Any) -> Any:
    """A value as the settings have it. What looks like a secret is named, and not written down."""
    if name == "env":
        return {key: {"env": key} if _is_secret(key, text) else text for key, text in value.items()}
    if name == "memory":
        return f"{value // 1024}k" if value % 1024 == 0 else f"{value}b"
    return f"{value.total_seconds():g}s" if isinstance(value, timedelta) else value


def _is_secret(key: str, text: str) -> bool:
    return bool(text) and bool(_SECRET.search(key) or re.search(r"://[^/@\s]*:[^/@\s]+@", text))


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(key)} = {_toml(item)}" for key, item in value.items() if item is not None)
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_toml(item) for item in value if item is not None)}]"
    return json.dumps(value, ensure_ascii=False)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)


def _unsayable(text: str, app: str) -> Iterator[str]:
    """What the settings do not take."""
    table = tomllib.loads(text)["apps"][app]["run"]
    try:
        RunSettings.model_validate(table)
    except ValidationError as error:
        for fault in error.errors():
            place = ".".join(str(part) for part in fault["loc"])
            yield f"run.{place}: {fault.get('ctx', {}).get('error', fault['msg'])}"
