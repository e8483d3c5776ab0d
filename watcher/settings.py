"""The settings, as the program has them after the file has been read and checked. All of them are frozen values.

`config/toplayer.example.toml` is their documentation for people. Every expectation that a person can break ends in a
sentence "expected …, got …".
"""

import re
from datetime import timedelta
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, PrivateAttr, model_validator

from watcher.dockerfile.settings import DockerfileSettings
from watcher.fields import (
    Absolute,
    Branch,
    Duration,
    Globs,
    Model,
    Name,
    PhpVersion,
    PythonVersion,
    Relative,
    Url,
    absolute,
    matching,
    without_password,
)
from watcher.fleet import FleetSettings, RunSettings
from watcher.image import Platform, Reference
from watcher.lockfiles import ecosystem_of
from watcher.secret import Secret
from watcher.wishes import PolicySettings


class IndexSettings(Model):
    """An index of packages. Without `url` it is the public index of its kind.

    `only` are globs: these packages come from this index and from no other. An `explicit` index answers for what a lock
    has from it, and for nothing else. `advisories`: whether sources of advisories may know the names of its packages.

    `auth` is how a `password` is shown. `branches`: whether Packagist is asked for branches besides tags.
    """

    kind: Literal["pypi", "packagist"]
    url: Url | None = None
    username: str = ""
    password: Secret | None = None
    auth: Literal["basic", "bearer", "gitlab-token"] = "basic"
    branches: bool = False
    private: bool = False
    only: Globs = ()
    explicit: bool = False
    advisories: bool | None = None

    @property
    def is_public(self) -> bool:
        """Whether the names of its packages may leave the house: by default those of the public index only."""
        return self.url is None if self.advisories is None else self.advisories


class AdvisorySettings(Model):
    """A source of advisories. Without `url` it is the public one of its kind."""

    kind: Literal["osv"]
    url: Url | None = None
    every: Duration = timedelta(hours=1)
    private: bool = False


class SigningSettings(Model):
    """The key that signs our commits: a private key of ssh, or an armoured one of GnuPG, without a passphrase."""

    format: Literal["ssh", "gpg"]
    key: Secret


class GitSettings(Model):
    """How to reach the repository, and whose name stands in the commits.

    Without a `password`, an http(s) repository on the forge's own host is reached with the forge's credentials.
    """

    username: str = "toplayer"
    password: Secret | None = None
    ssh_key: Absolute | None = None
    signing: SigningSettings | None = None
    author: Annotated[str, matching(r"[^<>\n]+ <[^<>\s]+@[^<>\s]+>", '"Name <address>"')] = (
        "toplayer <toplayer@localhost.invalid>"
    )


class ImageSettings(Model):
    """How the app's image is built, and where it is published."""

    builder: Literal["layers", "dockerfile"] = "layers"
    repository: str
    base: str = "scratch"
    python: PythonVersion = ""
    php: PhpVersion = ""
    platform: str = "linux/amd64"
    libc: Annotated[
        str, matching(r"(manylinux|musllinux)_\d+_\d+", '"manylinux_2_28", "musllinux_1_2" or the like')
    ] = "manylinux_2_28"
    interpreter: Absolute = "/usr/local/bin/python3"
    venv: Absolute = "/opt/venv"
    code: Absolute = "/app"
    split: tuple[Relative, ...] = ()
    packing: Literal["gzip", "zstd"] = "gzip"
    payback: Duration = timedelta(days=90)
    env: dict[str, str] = Field(default_factory=dict)
    command: tuple[str, ...] = ()
    user: str = ""
    dockerfile: DockerfileSettings | None = None

    @model_validator(mode="after")
    def _addresses(self) -> Self:
        if self.dockerfile is not None and self.builder != "dockerfile":
            raise ValueError('dockerfile: expected builder = "dockerfile" beside it')
        if self.builder == "dockerfile":
            self._is_left_to_the_dockerfile()
        if not self.repository.startswith("oci:"):
            reference = Reference.parse(self.repository)
            if reference.tag or reference.digest or not reference.host:
                raise ValueError(
                    f"repository: expected host/path without a tag, or oci:/directory, got {self.repository!r}"
                )
        if self.base != "scratch" and not self.base.startswith("oci:") and not Reference.parse(self.base).host:
            raise ValueError(f"base: expected host/path:tag, oci:/directory:tag or scratch, got {self.base!r}")
        for address in (self.repository, self.base):
            if address.startswith("oci:"):
                absolute(address.removeprefix("oci:"))
        Platform.parse(self.platform)
        return self

    def _is_left_to_the_dockerfile(self) -> None:
        if self.repository.startswith("oci:"):
            raise ValueError("repository: expected a registry, because that is where a Docker engine can push to")
        ours = ("base", "interpreter", "venv", "code", "env", "command", "user")
        if twice := next((name for name in ours if name in self.model_fields_set), None):
            raise ValueError(f"{twice}: expected nothing, because that is what the Dockerfile says")


class GitHubAppSettings(Model):
    """A GitHub App in place of a token: its id, and its private key (PEM)."""

    id: Annotated[str, matching(r"[A-Za-z0-9.]{1,40}", "the id of a GitHub App, as a text")]
    key: Secret


class ForgeSettings(Model):
    """Where branches of ours become pull requests, and what these look like.

    `url` is the forge's address in a browser. `project` is what it calls the repository; without it, the address of the
    repository tells. `draft`: until the checks are green. `automerge = "checks"`: merged by `method` once all checks of
    the commit are green, if the forge lets us. A reviewer with a slash (`team/backend`) is a team.
    """

    kind: Literal["github", "gitlab", "gitea"]
    url: Url | None = None
    project: Annotated[str, matching(r"([A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+)?", '"owner/name"')] = ""
    token: Secret | None = None
    app: GitHubAppSettings | None = None
    labels: tuple[Annotated[str, matching(r"[^,\x00-\x1f]{1,50}", "a label without commas")], ...] = ()
    reviewers: tuple[Annotated[str, matching(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)?", "a user, or a team")], ...] = ()
    draft: bool = False
    automerge: Literal["never", "checks"] = "never"
    method: Literal["merge", "squash", "rebase"] = "merge"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.token is None) == (self.app is None):
            raise ValueError("expected a token or, on GitHub, an app; one of the two")
        if self.app is not None and self.kind != "github":
            raise ValueError(f"app: expected a token, because {self.kind} has no GitHub Apps")
        if self.kind == "gitea" and self.url is None:
            raise ValueError('url: expected the address of the forge, such as "https://codeberg.example"')
        if self.kind == "gitlab" and any("/" in reviewer for reviewer in self.reviewers):
            raise ValueError("reviewers: expected users, because GitLab does not ask teams for a review")
        return self

    @property
    def address(self) -> str:
        """The forge's address in a browser, without a slash at its end."""
        return (self.url or _FORGES[self.kind]).rstrip("/")

    @property
    def wants_checks(self) -> bool:
        """Whether anything depends on the checks."""
        return self.draft or self.automerge != "never"

    def project_of(self, repository: str) -> str:
        """The project's name on the forge: `owner/name`. A `ValueError` if the repository's address does not tell."""
        if self.project:
            return self.project
        path = urlsplit(repository).path if "://" in repository else repository.partition(":")[2]
        path = path.removeprefix(urlsplit(self.address).path).strip("/").removesuffix(".git")
        if repository.startswith(("/", ".", "file:")) or not re.fullmatch(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+", path):
            raise ValueError('project: expected "owner/name", because the address of the repository does not tell')
        if self.kind != "gitlab" and path.count("/") != 1:
            raise ValueError(f'project: expected "owner/name", got {path!r} from the address of the repository')
        return path


_FORGES = {"github": "https://github.com", "gitlab": "https://gitlab.com"}


class AppSettings(Model):
    """One application: where its lockfiles live, how they move, what is built and where it runs.

    `more_locks` are of other ecosystems than `lock`: an application in two languages has two.
    """

    repository: Annotated[str, AfterValidator(without_password)]
    branch: Branch = "main"
    lock: Relative
    more_locks: tuple[Relative, ...] = ()
    propose: Literal["commit", "branch"] = "branch"
    survey: Duration = timedelta(minutes=1)
    git: GitSettings = GitSettings()
    forge: ForgeSettings | None = None
    policy: PolicySettings = PolicySettings()
    image: ImageSettings
    run: RunSettings = RunSettings()
    fleet: Name

    @property
    def locks(self) -> tuple[str, ...]:
        """All of its lockfiles."""
        return (self.lock, *self.more_locks)

    def lock_of(self, ecosystem: str) -> str:
        """The lockfile of an ecosystem."""
        return next((lock for lock in self.locks if ecosystem_of(lock) == ecosystem), self.lock)

    @model_validator(mode="after")
    def _speaks(self) -> Self:
        kinds = [ecosystem_of(lock) for lock in self.locks]
        if len(set(kinds)) < len(kinds):
            raise ValueError(f"more_locks: expected one lockfile for each ecosystem, got {', '.join(self.locks)}")
        if "pypi" in kinds and not self.image.python:
            lock = self.lock_of("pypi")
            raise ValueError(f'image.python: expected a Python version such as "3.12", because of {lock}, got nothing')
        return self

    @model_validator(mode="after")
    def _proposes(self) -> Self:
        if self.forge is None:
            return self
        if self.propose != "branch":
            raise ValueError('forge: expected propose = "branch", because a forge is for branches that people merge')
        try:
            self.forge.project_of(self.repository)
        except ValueError as error:
            raise ValueError(f"forge.{error}") from None
        return self


class RegistrySettings(Model):
    """How to speak to a registry, by its `host[:port]`. Loopback addresses may be plain HTTP without a word here."""

    username: str = ""
    password: Secret | None = None
    ca: Absolute | None = None
    plain_http: bool = False


class SlackSettings(Model):
    """A Slack incoming webhook. Its address is a secret."""

    url: Secret


class WebhookSettings(Model):
    """A receiver of every event as JSON, signed by the rules of Standard Webhooks if a secret is named."""

    url: Url | Secret
    secret: Secret | None = None


class NotifySettings(Model):
    """Who is told."""

    slack: SlackSettings | None = None
    webhooks: dict[Name, WebhookSettings] = Field(default_factory=dict)

    def names(self) -> tuple[str, ...]:
        """The receivers' names, as the outbox knows them."""
        return (*(("slack",) if self.slack else ()), *(f"webhook:{name}" for name in self.webhooks))


class SentrySettings(Model):
    """Where errors of toplayer itself go."""

    dsn: Secret
    environment: str = "production"


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
        """Without a word about indexes, they are the public ones of what the apps lock."""
        if not isinstance(data, dict) or "indexes" in data:
            return data
        apps = data.get("apps")
        locks = [lock for app in apps.values() for lock in _locks(app)] if isinstance(apps, dict) else []
        kinds = {ecosystem_of(lock) for lock in locks} - {""} or {"pypi"}
        return data | {"indexes": {kind: {"kind": kind} for kind in sorted(kinds)}}

    @property
    def path(self) -> str:
        """The file that these settings come from."""
        return self._path

    @property
    def ledger_url(self) -> str:
        """The ledger's database: what the file says, else SQLite in the state directory."""
        return _revealed(self.toplayer.ledger) or f"sqlite:///{self.toplayer.state}/ledger.db"

    @property
    def broker_url(self) -> str:
        """The broker's address, or an empty text for the embedded mode."""
        return _revealed(self.toplayer.broker)

    def secrets(self) -> dict[str, Secret]:
        """Every secret that the settings name, by its path in the file."""
        return dict(_secrets(self, ""))

    def hidden(self) -> list[str]:
        """The texts that must not show anywhere, longest first: the secrets, and the telling parts of addresses."""
        values = [secret.reveal() for secret in self.secrets().values()]
        return sorted({part for value in values for part in _telling_parts(value)}, key=len, reverse=True)


def _locks(app: Any) -> list[str]:
    """The lockfiles of an app, before anything has been checked."""
    if isinstance(app, AppSettings):
        return list(app.locks)
    if not isinstance(app, dict):
        return []
    more = app.get("more_locks")
    return [str(lock) for lock in (app.get("lock"), *(more if isinstance(more, list) else []))]


def _telling_parts(value: str) -> list[str]:
    """A secret, and of one that is an address, the parts that are secret by themselves."""
    parts = [value]
    if "://" in value:
        address = urlsplit(value)
        parts += [address.password or "", address.path.strip("/"), address.query]
    return [part for part in parts if len(part) >= _SHORTEST_SECRET]


_SHORTEST_SECRET = 4


def _revealed(value: str | Secret | None) -> str:
    return value.reveal() if isinstance(value, Secret) else value or ""


def _secrets(value: Any, path: str) -> list[tuple[str, Secret]]:
    if isinstance(value, Secret):
        return [(path, value)]
    if isinstance(value, BaseModel):
        fields = [(name, getattr(value, name)) for name in type(value).model_fields]
        return [found for name, field in fields for found in _secrets(field, f"{path}.{name}".lstrip("."))]
    if isinstance(value, dict):
        return [found for name, item in value.items() for found in _secrets(item, f"{path}.{name}")]
    if isinstance(value, tuple):
        return [found for n, item in enumerate(value) for found in _secrets(item, f"{path}[{n}]")]
    return []
