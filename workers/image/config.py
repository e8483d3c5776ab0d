"""The configuration of an image: what the base says, what the settings say over it, and what it was made of."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from watcher.image import DiffID, Platform
from watcher.settings import ImageSettings
from watcher.settings.image import BYTECODE_CACHE
from workers.image.base import Base
from workers.oci.manifest import OCI_KEYS, canonical

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# About the base, and not about what is made from it.
_NOT_INHERITED = ("OnBuild", "Image", "Hostname", "Domainname")


def image_config(
    image: ImageSettings,
    base: Base,
    layers: Sequence[tuple[str, DiffID]],
    labels: Mapping[str, str],
    created: datetime,
) -> bytes:
    """The configuration (OCI image specification 1.1) in canonical JSON.

    `layers` are those above the base: what is in them, and their diff IDs. `created` is the time of the commit.
    """
    platform = Platform.parse(image.platform)
    table: dict[str, Any] = {
        **{key: base.config.table[key] for key in ("os.version", "os.features") if key in base.config.table},
        "created": created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "os": platform.os,
        "architecture": platform.architecture,
        "config": _run(image, base, labels),
        "rootfs": {"type": "layers", "diff_ids": [*base.config.diff_ids, *(diff_id for _, diff_id in layers)]},
        "history": [*_history(base), *({"created_by": name} for name, _ in layers)],
    }
    return canonical(table | ({"variant": platform.variant} if platform.variant else {}))


def _run(image: ImageSettings, base: Base, labels: Mapping[str, str]) -> dict[str, Any]:
    """What a container starts from. As in a Dockerfile, a command leaves the base's entry point in its place."""
    run = {key: value for key, value in base.config.run.items() if key not in _NOT_INHERITED}
    run["Env"] = [f"{name}={value}" for name, value in _environment(image, base, run.get("Env")).items()]
    run["WorkingDir"] = image.code
    # What the base says of itself is not true of this image.
    inherited = {name: text for name, text in _texts(run.get("Labels")).items() if not name.startswith(OCI_KEYS)}
    run["Labels"] = {**inherited, **labels}
    if image.command:
        run["Cmd"] = list(image.command)
    if image.user:
        run["User"] = image.user
    return run


def _environment(image: ImageSettings, base: Base, inherited: object) -> dict[str, str]:
    rows = [row for row in inherited if isinstance(row, str)] if isinstance(inherited, list) else []
    found = dict(row.split("=", 1) for row in rows if "=" in row)
    found |= {name: image.env[name] for name in sorted(image.env)}
    if not image.python:
        return found
    path = found.get("PATH") or _PATH
    front = f"{image.venv}/bin"
    found |= {"PATH": path if front in path.split(":") else f"{front}:{path}", "VIRTUAL_ENV": image.venv}
    if image.bytecode != "cache":
        return found
    # The times in a base are its maker's: what is compiled of its modules is for this base alone.
    found.pop("PYTHONDONTWRITEBYTECODE", None)
    return found | {"PYTHONPYCACHEPREFIX": f"{BYTECODE_CACHE}/{base.digest.short if base.digest else 'scratch'}"}


def _history(base: Base) -> list[dict[str, Any]]:
    """The base's history if it accounts for all of its layers; engines refuse one that does not."""
    rows = base.config.table.get("history")
    told = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    if sum(not row.get("empty_layer") for row in told) == len(base.layers):
        return told
    return [{"created_by": f"base {base.name}"} for _ in base.layers]


def _texts(value: object) -> dict[str, str]:
    return {str(key): str(text) for key, text in value.items()} if isinstance(value, dict) else {}
