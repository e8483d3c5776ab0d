"""The settings of images that are built from a Dockerfile."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from watcher.fields import Absolute, Duration, Model, Relative, matching
from watcher.fleet import TlsSettings
from watcher.image import Reference
from watcher.secret import Secret

ArgumentName = Annotated[str, matching(r"[A-Za-z_][A-Za-z0-9_]{0,127}", "the name of a build argument")]
MountId = Annotated[str, matching(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", "the id of a secret or of an ssh mount")]
LabelName = Annotated[str, matching(r"(?!toplayer\.)[A-Za-z0-9][A-Za-z0-9_./-]{0,127}", "the name of a label")]
Inside = Annotated[str, matching(r"\.|(?!/)(?!(.*/)?\.\.(/|$))[^\0]+", "a path inside the repository")]
ContextName = Annotated[str, matching(r"[a-z0-9][a-z0-9_.-]{0,127}", "the name of a context, in lower case")]


class DockerfileSettings(Model):
    """How a Dockerfile is built, and by which engine. `file` and `context` are paths within the repository.

    `secrets` are mounted by their ids while a step runs that asks for them, `ssh` are agents' sockets or keys without a
    passphrase. `cache` is a repository with a tag for the cache of all stages, where the engine can keep one. `follow`:
    which of the images that the file names are pins, those with a digest only or those with a tag alone, too.
    `contexts` are further directories of the repository, by the names that the file has for them in `FROM` and
    `--from=`.
    """

    file: Relative = "Dockerfile"
    context: Inside = "."
    contexts: dict[ContextName, Inside] = Field(default_factory=dict)
    target: Annotated[str, matching(r"[A-Za-z0-9_.-]*", "the name of a stage")] = ""
    arguments: dict[ArgumentName, str] = Field(default_factory=dict)
    secrets: dict[MountId, Secret] = Field(default_factory=dict)
    ssh: dict[MountId, Absolute] = Field(default_factory=dict)
    labels: dict[LabelName, str] = Field(default_factory=dict)
    cache: str = ""
    follow: Literal["all", "digests", "none"] = "all"
    network: Literal["default", "host", "none"] = "default"
    engine: Annotated[str, matching(r"unix:///\S+|tcp://[^\s/]+:\d+", '"unix:///path" or "tcp://host:port"')] = (
        "unix:///var/run/docker.sock"
    )
    tls: TlsSettings | None = None
    deadline: Duration = timedelta(minutes=30)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.engine.startswith("tcp:") and self.tls is None:
            raise ValueError("tls: expected files for TLS, because whoever reaches an engine without them is its root")
        if self.cache:
            reference = Reference.parse(self.cache)
            if not reference.host or not reference.tag or reference.digest:
                raise ValueError(f"cache: expected host/path:tag, got {self.cache!r}")
        return self
