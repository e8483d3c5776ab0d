"""The settings, as the program has them after the file has been read and checked. All of them are frozen values.

`config/toplayer.example.toml` is their documentation for people. Every expectation that a person can break ends in a
sentence "expected …, got …".
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PrivateAttr, ValidationError, model_validator

from watcher.fields import Absolute, Duration, Model, Name, without_password
from watcher.fleet import FleetSettings
from watcher.lockfiles import ecosystem_of
from watcher.secret import Secret
from watcher.settings.app import AppSettings
from watcher.settings.forge import ForgeSettings, GitHubAppSettings
from watcher.settings.git import GitSettings, SigningSettings
from watcher.settings.image import ImageSettings, RegistrySettings, SandboxSettings
from watcher.settings.index import AdvisorySettings, IndexSettings
from watcher.settings.notify import NotifySettings, SentrySettings, SlackSettings, WebhookSettings
from watcher.settings.secrets import revealed, secrets_in, telling_parts

__all__ = [
    "AdvisorySettings",
    "AppSettings",
    "ForgeSettings",
    "GitHubAppSettings",
    "GitSettings",
    "ImageSettings",
    "IndexSettings",
    "NotifySettings",
    "RegistrySettings",
    "SandboxSettings",
    "SentrySettings",
    "ServiceSettings",
    "Settings",
    "SigningSettings",
    "SlackSettings",
    "WebhookSettings",
]


class ServiceSettings(Model):
    """The service itself. Without a `broker` it is one process; with one, as many as you like."""

    state: Absolute
    ledger: Annotated[str, AfterValidator(without_password)] | Secret | None = None
    broker: Annotated[str, AfterValidator(without_password)] | Secret | None = None
    contact: str = ""
    poll: Duration = timedelta(minutes=15)
    look: Duration = timedelta(seconds=5)
    workers: Annotated[int, Field(ge=1, le=64)] = 4


class Settings(Model):
    """Everything, checked whole."""

    toplayer: ServiceSettings
    indexes: dict[Name, IndexSettings] = Field(default_factory=dict)
    advisories: dict[Name, AdvisorySettings] = Field(default_factory=lambda: {"osv": AdvisorySettings(kind="osv")})
    apps: dict[Name, AppSettings] = Field(default_factory=dict)
    fleets: dict[Name, FleetSettings] = Field(default_factory=dict)
    registries: dict[str, RegistrySettings] = Field(default_factory=dict)
    notify: NotifySettings = NotifySettings()
    sentry: SentrySettings | None = None

    _path: str = PrivateAttr(default="")

    @model_validator(mode="before")
    @classmethod
    def _public(cls, data: Any) -> Any:
        """Without a word about indexes, they are the public ones of what the apps lock. Registries need no word."""
        if not isinstance(data, dict):
            return data
        apps = data.get("apps")
        locks = [lock for app in apps.values() for lock in _locks(app)] if isinstance(apps, dict) else []
        kinds = {ecosystem_of(lock) for lock in locks} - {""} or {"pypi"}
        known = data.get("indexes", {kind: {"kind": kind} for kind in sorted(kinds)})
        named = any(_names_a_base(app) for app in apps.values()) if isinstance(apps, dict) else False
        if ("oci" in kinds or named) and isinstance(known, dict):
            known = {"oci": {"kind": "oci"}} | known
        return data | {"indexes": known}

    @property
    def path(self) -> str:
        """The file that these settings come from."""
        return self._path

    @property
    def ledger_url(self) -> str:
        """The ledger's database: what the file says, else SQLite in the state directory."""
        return revealed(self.toplayer.ledger) or f"sqlite:///{self.toplayer.state}/ledger.db"

    @property
    def broker_url(self) -> str:
        """The broker's address, or an empty text for the embedded mode."""
        return revealed(self.toplayer.broker)

    def polled_every(self, name: str) -> timedelta:
        """How often the index, or the source of advisories, of this name is asked."""
        return self.advisories[name].every if name in self.advisories else self.toplayer.poll

    def secrets(self) -> dict[str, Secret]:
        """Every secret that the settings name, by its path in the file."""
        return dict(secrets_in(self, ""))

    def hidden(self) -> list[str]:
        """The texts that must not show anywhere, longest first: the secrets, and the telling parts of addresses."""
        values = [secret.reveal() for secret in self.secrets().values()]
        return sorted({part for value in values for part in telling_parts(value)}, key=len, reverse=True)


def _locks(app: Any) -> list[str]:
    """The files that an app is pinned in, before anything has been checked."""
    if isinstance(app, AppSettings):
        return list(app.pinned_in)
    if not isinstance(app, dict):
        return []
    more = app.get("more_locks")
    return [str(lock) for lock in (app.get("lock"), *(more if isinstance(more, list) else []), _base_file(app))]


def _base_file(app: Mapping[str, Any]) -> str:
    """See `ImageSettings.base_file`."""
    image = _image(app)
    return image.base_file if image else ""


def _names_a_base(app: Any) -> bool:
    """See `ImageSettings.base_image`."""
    image = app.image if isinstance(app, AppSettings) else _image(app) if isinstance(app, dict) else None
    return image is not None and image.base_image is not None


def _image(app: Mapping[str, Any]) -> ImageSettings | None:
    image = app.get("image")
    try:
        return image if isinstance(image, ImageSettings) else ImageSettings.model_validate(image)
    except ValidationError:
        return None  # It will be told.
