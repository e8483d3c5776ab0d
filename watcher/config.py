"""config/*.toml → Settings: read once, checked whole, every fault at once and each with its path in the file."""

import difflib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from watcher.errors import Refused, SettingsRefused
from watcher.settings import AppSettings, Settings


class NoSettings(Refused):
    """Nobody named a configuration, and there is none in the usual places."""

    hint = "write one with `toplayer init`, or name it: toplayer --config PATH, or TOPLAYER_CONFIG=PATH"

    def __init__(self, places: Sequence[str]) -> None:
        self.places = tuple(places)
        super().__init__(self.places)

    def __str__(self) -> str:
        return f"no configuration found (looked for {', '.join(self.places)})"


PLACES = ("toplayer.toml", "config/toplayer.toml", "/etc/toplayer/toplayer.toml")
"""Where a configuration is looked for, in this order, when nobody names one."""


def example() -> str:
    """The example configuration, which documents every setting."""
    here = Path(__file__).parent
    beside = here / "toplayer.example.toml"  # where an installed toplayer has it
    path = beside if beside.exists() else here.parent / "config" / "toplayer.example.toml"
    return path.read_text(encoding="utf-8")


def find(named: str | None) -> Path:
    """The configuration to use: the one that was named, else the first of PLACES that exists."""
    if named:
        return Path(named)
    found = next((Path(place) for place in PLACES if Path(place).exists()), None)
    if found is None:
        raise NoSettings(PLACES)
    return found


_ROLES = (".next", ".proven", ".failed", ".pull", ".ask")
"""What stands behind an app's name in the names of its containers while something is under way."""


def load(path: Path) -> Settings:
    """The settings in the TOML file at `path`. A `SettingsRefused` holds every fault."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsRefused(str(path), [f"cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise SettingsRefused(str(path), [f"byte {error.start}: expected UTF-8, got {error.reason}"]) from error
    return parse(text, str(path))


def parse(text: str, path: str) -> Settings:
    """The settings in a TOML text; `path` only names it in errors."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsRefused(path, [f"expected TOML, got something else: {error}"]) from error
    except RecursionError:
        raise SettingsRefused(path, ["expected TOML, got tables nested too deeply"]) from None
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        raise SettingsRefused(path, [_sentence(fault, data) for fault in _relevant(error.errors())]) from None
    faults = list(_across(settings))
    if faults:
        raise SettingsRefused(path, faults)
    settings._path = path
    return settings


def _across(settings: Settings) -> Iterable[str]:
    """What can only be seen by looking at two places at once."""
    for name, app in settings.apps.items():
        if app.fleet not in settings.fleets:
            known = ", ".join(settings.fleets) or "none"
            yield f"apps.{name}.fleet: expected the name of a fleet (known: {known}), got {app.fleet!r}"
            continue
        yield from _pulls(settings, name, app)
        yield from _fits(settings, name, app)
        if role := next((role for role in _ROLES if name.endswith(role)), ""):
            yield f"apps.{name}: expected a name that does not end in {role}, because a host has containers that do"
    yield from _shared_directories(settings)
    for name in settings.indexes.keys() & settings.advisories.keys():
        yield f"advisories.{name}: expected another name than that of an index, got {name!r}"
    for path, secret in settings.secrets().items():
        missing = secret.missing()
        if missing:
            yield f"{path}: expected a secret at {secret}, but {missing}"


def _pulls(settings: Settings, name: str, app: AppSettings) -> Iterable[str]:
    if not app.image.repository.startswith("oci:"):
        return
    for n, host in enumerate(settings.fleets[app.fleet].hosts):
        if host.kind != "dir":
            yield (
                f"apps.{name}.image.repository: expected a registry, because fleets.{app.fleet}.hosts[{n}] "
                f"({host.name}) is a Docker engine and pulls from one; got {app.image.repository!r}"
            )


def _fits(settings: Settings, name: str, app: AppSettings) -> Iterable[str]:
    kinds = {host.kind: host.name for host in settings.fleets[app.fleet].hosts}
    if "compose" in kinds and app.run.compose is None:
        yield (
            f"apps.{name}.run.compose: expected the project and the service, because {kinds['compose']} of "
            f"fleets.{app.fleet} is a Compose target; got nothing"
        )
    yield from _asks(settings, name, app, kinds)


def _asks(settings: Settings, name: str, app: AppSettings, kinds: Mapping[str, str]) -> Iterable[str]:
    """Somebody with Python has to ask the address that says whether an app is well."""
    if not app.run.health.http or app.image.python or app.image.builder == "dockerfile":
        return
    place = f"apps.{name}.run.health.http"
    if "swarm" in kinds:
        why = f"because the tasks of {kinds['swarm']} have to ask it themselves"
        yield f"{place}: expected `python` under image, {why}; got {app.run.health.http!r}"
    elif kinds.keys() - {"dir"} and not settings.fleets[app.fleet].puller:
        why = f"because some Python on {next(iter(kinds.values()))} has to ask it"
        yield f"{place}: expected a `puller` for fleets.{app.fleet}, {why}; got {app.run.health.http!r}"


def _shared_directories(settings: Settings) -> Iterable[str]:
    """A directory holds the releases of one app."""
    taken: dict[str, str] = {}
    for name, app in settings.apps.items():
        for n, host in enumerate(settings.fleets[app.fleet].hosts if app.fleet in settings.fleets else ()):
            owner = taken.setdefault(host.address, name) if host.kind == "dir" else name
            if owner != name:
                place = f"fleets.{app.fleet}.hosts[{n}].address"
                yield f"{place}: expected a directory for {name} alone, got {host.address!r}, which {owner} uses"


def _relevant(errors: Sequence[ErrorDetails]) -> Iterable[ErrorDetails]:
    """One fault per place: a union reports each of its members, of which the one that read the value says most."""
    by_place: dict[tuple[Any, ...], ErrorDetails] = {}
    for error in errors:
        place = tuple(part for part in error["loc"] if not _is_member(part))
        known = by_place.get(place)
        if known is None or known["type"] != "value_error":
            by_place[place] = ErrorDetails(**{**error, "loc": place})
    return by_place.values()


def _is_member(part: int | str) -> bool:
    """Pydantic names the member of a union as if it were a key: `str`, `Secret`, `function-after[…]`."""
    return isinstance(part, str) and (part in ("str", "int", "Secret") or "[" in part)


def _sentence(error: ErrorDetails, data: dict[str, Any]) -> str:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{_key(part)}" for part in error["loc"]).lstrip(".")
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        said = "expected a value, got nothing"
    elif kind == "extra_forbidden":
        near = difflib.get_close_matches(str(error["loc"][-1]), _known(error["loc"][:-1]), n=1)
        said = "expected no such key" + (f"; did you mean `{near[0]}`?" if near else "")
    elif kind == "value_error":
        said = str(context.get("error", error["msg"]))
    elif context.get("class_name") == "Secret":
        said = 'expected the name of a secret, such as { env = "NAME" }; the secret itself does not belong here'
    elif kind == "literal_error":
        said = f"expected {context['expected']}, got {_shown(error['loc'], data)}"
    else:
        said = f"expected {_EXPECTED.get(kind, error['msg'])}, got {_shown(error['loc'], data)}"
    return f"{place}: {said}" if place else said


_EXPECTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a table",
    "model_type": "a table",
    "tuple_type": "a list",
}


def _key(part: str) -> str:
    return part if part.replace("-", "").replace("_", "").isalnum() else f'"{part}"'


def _shown(place: Sequence[int | str], data: Any) -> str:
    """What stands in the file at `place`, short. Never for a secret: those are named, not written down."""
    for part in place:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return "nothing"
    return repr(data)[:60]


def _known(place: Sequence[int | str]) -> list[str]:
    """The keys that the table at `place` may have."""
    model: Any = Settings
    for part in place:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part) if isinstance(model, type) and issubclass(model, BaseModel) else None
        if field is not None:
            model = _model_in(field.annotation)
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_in(inner)
        if found is not None:
            return found
    return None
