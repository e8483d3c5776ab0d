"""How an app's image is built, and how to speak to the registry that it is published in."""

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from watcher.dockerfile.settings import DockerfileSettings
from watcher.fields import (
    Absolute,
    Duration,
    Memory,
    Model,
    PhpVersion,
    PythonVersion,
    Relative,
    absolute,
    matching,
    relative,
)
from watcher.fleet import TlsSettings
from watcher.image import Platform, Reference
from watcher.lockfiles import ecosystem_of
from watcher.pin import Pin
from watcher.secret import Secret

BYTECODE_CACHE = "/var/cache/python"
"""Where a container keeps what it has compiled, if that is to outlive it."""


class SandboxSettings(Model):
    """Where code that is not ours is run, so that something of it becomes part of an image.

    In throwaway containers of `base` (empty: the image's own base), without a network and without secrets.
    """

    engine: Annotated[str, matching(r"unix:///\S+|tcp://[^\s/]+:\d+", '"unix:///path" or "tcp://host:port"')] = (
        "unix:///var/run/docker.sock"
    )
    tls: TlsSettings | None = None
    base: str = ""
    memory: Memory = 4 * 1024**3
    cpus: Annotated[float, Field(gt=0, le=1024)] | None = None
    deadline: Duration = timedelta(minutes=30)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.engine.startswith("tcp:") and self.tls is None:
            raise ValueError("tls: expected files for TLS, because whoever reaches an engine without them is its root")
        if self.base:
            _check_base("base", self.base)
        return self


class ImageSettings(Model):
    """How the app's image is built, and where it is published.

    With several `platforms` it is an index of one image for each, and `platform` is the first of them. Where `bytecode`
    is a "cache", each host compiles what it imports once, for all images to come.
    """

    builder: Literal["layers", "dockerfile"] = "layers"
    repository: str
    base: str = "scratch"
    python: PythonVersion = ""
    php: PhpVersion = ""
    platform: str = "linux/amd64"
    platforms: tuple[str, ...] = ()
    libc: Annotated[
        str, matching(r"(manylinux|musllinux)_\d+_\d+", '"manylinux_2_28", "musllinux_1_2" or the like')
    ] = "manylinux_2_28"
    interpreter: Absolute = "/usr/local/bin/python3"
    venv: Absolute = "/opt/venv"
    code: Absolute = "/app"
    split: tuple[Relative, ...] = ()
    packing: Literal["auto", "gzip", "zstd"] = "auto"
    payback: Duration = timedelta(days=90)
    env: dict[str, str] = Field(default_factory=dict)
    command: tuple[str, ...] = ()
    user: str = ""
    groups: tuple[Annotated[str, matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}", "the name of a group")], ...] = ()
    bytecode: Literal["none", "cache", "layer"] = "none"
    composer: tuple[Literal["plugins", "scripts"], ...] = ()
    sandbox: SandboxSettings | None = None
    dockerfile: DockerfileSettings | None = None

    @model_validator(mode="before")
    @classmethod
    def _first(cls, data: Any) -> Any:
        """Where only one platform can be reckoned with, it is the first."""
        several = data.get("platforms") if isinstance(data, dict) else None
        if not isinstance(several, list | tuple) or not several:
            return data
        if "platform" in data:
            raise ValueError("platform: expected nothing beside `platforms`")
        return {**data, "platform": several[0]}

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
        if self.base.startswith("file:"):
            if ecosystem_of(relative(self.base_file)) != "oci":
                raise ValueError(f"base: expected a file whose name says Dockerfile, got {self.base_file!r}")
        elif self.base != "scratch" and not self.base.startswith("oci:") and not Reference.parse(self.base).host:
            known = "host/path:tag, file:path, oci:/directory:tag or scratch"
            raise ValueError(f"base: expected {known}, got {self.base!r}")
        for address in (self.repository, self.base):
            if address.startswith("oci:"):
                absolute(address.removeprefix("oci:"))
        if self.bytecode != "none" and not self.python:
            raise ValueError(f"bytecode: expected `python` beside it, or nothing, got {self.bytecode!r}")
        if self.composer and self.sandbox is None:
            raise ValueError("composer: expected a table `sandbox` beside it, where plugins and scripts are run")
        return self

    @model_validator(mode="after")
    def _for_machines(self) -> Self:
        for platform in self.every_platform:
            Platform.parse(platform)
        if len(set(self.every_platform)) < len(self.every_platform):
            raise ValueError(f"platforms: expected each once, got {', '.join(self.platforms)}")
        for cache in (one.dockerfile.cache for one in map(self.on, self.every_platform) if one.dockerfile):
            if cache:
                Reference.parse(cache)
        return self

    @property
    def every_platform(self) -> tuple[str, ...]:
        """All that the image is for."""
        return self.platforms or (self.platform,)

    def on(self, platform: str) -> Self:
        """The settings of the image for one of its platforms. A Dockerfile's cache is one for each of several: written
        under one tag, that of the last one would be all that is left."""
        one: dict[str, Any] = {"platform": platform, "platforms": ()}
        if self.dockerfile is not None and self.dockerfile.cache and len(self.every_platform) > 1:
            cache = f"{self.dockerfile.cache}-{Platform.parse(platform).in_tag}"
            one["dockerfile"] = self.dockerfile.model_copy(update={"cache": cache})
        return self.model_copy(update=one)

    @property
    def base_file(self) -> str:
        """The file in the repository that names the images to stand on, if they are followed there; else empty."""
        if self.builder == "layers":
            return self.base.removeprefix("file:") if self.base.startswith("file:") else ""
        mine = self.dockerfile or DockerfileSettings()
        return mine.file if mine.follow != "none" and ecosystem_of(mine.file) == "oci" else ""

    @property
    def base_image(self) -> Reference | None:
        """The image in a registry that stands in the settings themselves as the one to stand on, if there is one."""
        beside = self.base == "scratch" or self.base.startswith(("file:", "oci:"))
        return None if beside or self.builder != "layers" else Reference.parse(self.base)

    def follows(self, pin: Pin) -> bool:
        """Whether a pin of the repository is one to look after. All are, but for images that are not to be followed."""
        by_tag = pin.ecosystem == "oci" and not pin.version
        return not (by_tag and self.dockerfile is not None and self.dockerfile.follow == "digests")

    def _is_left_to_the_dockerfile(self) -> None:
        if self.repository.startswith("oci:"):
            raise ValueError("repository: expected a registry, because that is where a Docker engine can push to")
        ours = ("base", "interpreter", "venv", "code", "env", "command", "user", "bytecode", "composer", "sandbox")
        if twice := next((name for name in ours if name in self.model_fields_set), None):
            raise ValueError(f"{twice}: expected nothing, because that is what the Dockerfile says")


def _check_base(name: str, address: str) -> None:
    if address.startswith("oci:"):
        absolute(address.removeprefix("oci:"))
    elif not Reference.parse(address).host:
        raise ValueError(f"{name}: expected host/path:tag or oci:/directory:tag, got {address!r}")


class RegistrySettings(Model):
    """How to speak to a registry, by its `host[:port]`. Loopback addresses may be plain HTTP without a word here."""

    username: str = ""
    password: Secret | None = None
    ca: Absolute | None = None
    plain_http: bool = False
