"""The settings, as the program has them after the file has been read and checked. All of them are frozen values.

`config/toplayer.example.toml` is their documentation for people. Every expectation that a person can break ends in a
sentence "expected …, got …".
"""

import re
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, model_validator

from watcher.decide import Plan
from watcher.image import Platform, Reference
from watcher.secret import Secret
from watcher.wave import Share, share

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def duration(value: object) -> timedelta:
    """`"90s"`, `"15m"`, `"3d"`, or several of them in a row (`"1h30m"`)."""
    text = value if isinstance(value, str) else ""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f'expected a duration such as "90s", "15m" or "3d", got {value!r}')
    return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))


def _name(text: str) -> str:
    # What a Docker container, a directory and a part of an image's name may all be called.
    if not re.fullmatch(r"[a-z0-9]+(?:[._-][a-z0-9]+)*", text) or not 2 <= len(text) <= 63:
        expected = (
            "a name of 2 to 63 lower-case letters and digits, with single dots, dashes or underscores between them"
        )
        raise ValueError(f"expected {expected}, got {text[:80]!r}")
    return text


def _absolute(text: str) -> str:
    path = PurePosixPath(text)
    if not path.is_absolute() or ".." in path.parts or "\0" in text:
        raise ValueError(f"expected an absolute path, got {text[:80]!r}")
    return str(path)


def _relative(text: str) -> str:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in text:
        raise ValueError(f"expected a path inside the repository, got {text[:80]!r}")
    return str(path)


def _without_password(url: str) -> str:
    try:
        password = urlsplit(url).password
    except ValueError as error:
        raise ValueError(f"expected an address, got {url[:80]!r} ({error})") from None
    if password:
        raise ValueError('expected an address without a password; name the secret instead: { env = "NAME" }')
    return url


def _web(url: str) -> str:
    parts = urlsplit(_without_password(url))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"expected an http:// or https:// address, got {url[:80]!r}")
    return url


def _matching(pattern: str, expected: str) -> AfterValidator:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"expected {expected}, got {text[:80]!r}")
        return text

    return AfterValidator(check)


Duration = Annotated[timedelta, BeforeValidator(duration)]
Name = Annotated[str, AfterValidator(_name)]
Absolute = Annotated[str, AfterValidator(_absolute)]
Relative = Annotated[str, AfterValidator(_relative)]
Url = Annotated[str, AfterValidator(_web)]
PythonVersion = Annotated[str, _matching(r"3\.\d{1,2}(\.\d{1,3})?", 'a Python version such as "3.12"')]
Branch = Annotated[
    str, _matching(r"(?!-|/|.*(\.\.|//|@\{|\.lock$|[/.]$))[^\x00-\x20\x7f~^:?*\[\\]{1,200}", "the name of a branch")
]
Volume = Annotated[
    str, _matching(r"[^:\0]+:/[^:\0]*(:ro|:rw)?", '"/host/path:/container/path[:ro]" or "name:/container/path"')
]
Port = Annotated[str, _matching(r"((\d+\.){3}\d+:)?\d{1,5}:\d{1,5}(/(tcp|udp))?", '"8080:80" or "127.0.0.1:8080:80"')]


class Model(BaseModel):
    """No unknown keys, no changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class IndexSettings(Model):
    """An index of packages. Without `url` it is the public index of its kind."""

    kind: Literal["pypi"]
    url: Url | None = None
    username: str = ""
    password: Secret | None = None
    private: bool = False


class PolicySettings(Model):
    """Which releases may come in by themselves."""

    watch: Literal["direct", "all"] = "direct"
    cooldown: Duration = timedelta(days=3)
    ignore: tuple[str, ...] = ()


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
    author: Annotated[str, _matching(r"[^<>\n]+ <[^<>\s]+@[^<>\s]+>", '"Name <address>"')] = (
        "toplayer <toplayer@localhost.invalid>"
    )


class ImageSettings(Model):
    """How the app's image is built, and where it is published."""

    builder: Literal["layers"] = "layers"
    repository: str
    base: str = "scratch"
    python: PythonVersion
    platform: str = "linux/amd64"
    libc: Annotated[
        str, _matching(r"(manylinux|musllinux)_\d+_\d+", '"manylinux_2_28", "musllinux_1_2" or the like')
    ] = "manylinux_2_28"
    interpreter: Absolute = "/usr/local/bin/python3"
    venv: Absolute = "/opt/venv"
    code: Absolute = "/app"
    env: dict[str, str] = Field(default_factory=dict)
    command: tuple[str, ...] = ()
    user: str = ""

    @model_validator(mode="after")
    def _addresses(self) -> Self:
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
                _absolute(address.removeprefix("oci:"))
        Platform.parse(self.platform)
        return self


class HealthSettings(Model):
    """How a host proves that the new image works.

    With a `command` it has to exit with 0, inside the container (or the release directory); without one, the image's
    own HEALTHCHECK decides if it has one, and else the container has to run for `steady` without a restart.
    """

    command: tuple[str, ...] = ()
    timeout: Duration = timedelta(seconds=30)
    steady: Duration = timedelta(seconds=5)
    within: Duration = timedelta(minutes=2)


class RunSettings(Model):
    """What a host runs: the whole specification of the container, so that nothing is copied from what ran before."""

    command: tuple[str, ...] = ()
    env: dict[str, str | Secret] = Field(default_factory=dict)
    volumes: tuple[Volume, ...] = ()
    ports: tuple[Port, ...] = ()
    network: str = ""
    restart: Literal["no", "always", "unless-stopped", "on-failure"] = "unless-stopped"
    order: Literal["stop-first", "start-first"] = "stop-first"
    stop_signal: Annotated[str, _matching(r"(SIG[A-Z0-9+]+)?", 'a signal such as "SIGTERM"')] = ""
    stop_grace: Duration = timedelta(seconds=10)
    health: HealthSettings = HealthSettings()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.order == "start-first" and self.ports:
            raise ValueError("order: expected stop-first, because two containers cannot publish the same port")
        return self


class GitHubAppSettings(Model):
    """A GitHub App in place of a token: its id, and its private key (PEM)."""

    id: Annotated[str, _matching(r"[A-Za-z0-9.]{1,40}", "the id of a GitHub App, as a text")]
    key: Secret


class ForgeSettings(Model):
    """Where branches of ours become pull requests, and what these look like.

    `url` is the forge's address in a browser. `project` is what it calls the repository; without it, the address of the
    repository tells. `draft`: until the checks are green. `automerge = "checks"`: merged by `method` once all checks of
    the commit are green, if the forge lets us. A reviewer with a slash (`team/backend`) is a team.
    """

    kind: Literal["github", "gitlab", "gitea"]
    url: Url | None = None
    project: Annotated[str, _matching(r"([A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+)?", '"owner/name"')] = ""
    token: Secret | None = None
    app: GitHubAppSettings | None = None
    labels: tuple[Annotated[str, _matching(r"[^,\x00-\x1f]{1,50}", "a label without commas")], ...] = ()
    reviewers: tuple[Annotated[str, _matching(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)?", "a user, or a team")], ...] = ()
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
    """One application: where its lockfile lives, how it moves, what is built and where it runs."""

    repository: Annotated[str, AfterValidator(_without_password)]
    branch: Branch = "main"
    lock: Relative
    propose: Literal["commit", "branch"] = "branch"
    survey: Duration = timedelta(minutes=1)
    git: GitSettings = GitSettings()
    forge: ForgeSettings | None = None
    policy: PolicySettings = PolicySettings()
    image: ImageSettings
    run: RunSettings = RunSettings()
    fleet: Name

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


class TlsSettings(Model):
    """Files of a mutual TLS connection."""

    ca: Absolute
    cert: Absolute
    key: Absolute


class HostSettings(Model):
    """One host. `unix:///path` and `tcp://host:port` are Docker engines, `dir:/path` is a directory without Docker."""

    name: Name
    address: Annotated[
        str,
        _matching(
            r"unix:///.+|tcp://[A-Za-z0-9.\[\]:-]+:\d{1,5}|dir:/.+", '"unix:///path", "tcp://host:port" or "dir:/path"'
        ),
    ]
    tls: TlsSettings | None = None

    @property
    def kind(self) -> str:
        """The row in the table of targets: `docker` or `dir`."""
        return "dir" if self.address.startswith("dir:") else "docker"


class FleetSettings(Model):
    """The hosts that run the same image, and how careful a rollout is with them."""

    waves: tuple[Annotated[Share, AfterValidator(lambda wave: (share(wave), wave)[1])], ...] = (1, "100%")
    soak: Duration = timedelta(0)
    at_once: Annotated[int, Field(ge=1, le=1000)] = 5
    max_failures: Annotated[int, Field(ge=0)] = 0
    hosts: tuple[HostSettings, ...] = ()

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        names = [host.name for host in self.hosts]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"hosts: expected every name once, got {', '.join(twice)} more than once")
        return self

    @property
    def plan(self) -> Plan:
        """What `decide` needs to know of the fleet."""
        return Plan(waves=self.waves, soak=self.soak, at_once=self.at_once, max_failures=self.max_failures)


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
    ledger: Annotated[str, AfterValidator(_without_password)] | Secret | None = None
    broker: Annotated[str, AfterValidator(_without_password)] | Secret | None = None
    contact: str = ""
    poll: Duration = timedelta(minutes=15)
    look: Duration = timedelta(seconds=5)
    workers: Annotated[int, Field(ge=1, le=64)] = 4


class Settings(Model):
    """Everything, checked whole."""

    toplayer: ServiceSettings
    indexes: dict[Name, IndexSettings] = Field(default_factory=lambda: {"pypi": IndexSettings(kind="pypi")})
    apps: dict[Name, AppSettings] = Field(default_factory=dict)
    fleets: dict[Name, FleetSettings] = Field(default_factory=dict)
    registries: dict[str, RegistrySettings] = Field(default_factory=dict)
    notify: NotifySettings = NotifySettings()
    sentry: SentrySettings | None = None

    _path: str = PrivateAttr(default="")

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
