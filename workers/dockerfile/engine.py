"""The door to the Docker engine that builds: its BuildKit, through the command that Docker has for it.

BuildKit's own protocol (gRPC over a hijacked connection) has no maintained client in Python; the command is stable, is
where the engine is, and when it ends, the engine ends the build.
"""

import base64
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from watcher.dockerfile.settings import DockerfileSettings
from watcher.errors import Refused
from watcher.image import Platform
from watcher.inert import inert, without
from watcher.settings import RegistrySettings
from workers.dockerfile.client import Client, find
from workers.dockerfile.errors import BuildFailed, BuildRefused, BuildTimedOut, EngineGone
from workers.dockerfile.progress import Progress, read
from workers.process import ToolFailed, ToolTimedOut, environment, run

_QUICKLY = timedelta(seconds=30)
_TALK = 16 * 1024**2
"""Bytes of a build's progress that are kept: the last ones."""
_OLDEST_API = (1, 39)
_GONE = re.compile(r"cannot connect to the docker daemon|connection refused|error during connect|is the docker daemon")
_FULL = "no space left on device"
_PUSHED = re.compile(r"^([0-9a-f]{12}): Pushed$", re.MULTILINE)
_HUB = "https://index.docker.io/v1/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One build: `dockerfile` is the file itself, `name` what people call it, `context` a directory.

    `secrets` are files by their ids, `hidden` the texts in them. `cache_from` are images to start from.
    """

    dockerfile: Path
    name: str
    context: Path
    platform: Platform
    tag: str = ""
    target: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)
    ssh: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    cache_from: Sequence[str] = ()
    cache: str = ""
    network: str = "default"
    hidden: Collection[str] = ()
    deadline: timedelta = timedelta(minutes=30)


def argv(client: Client, plan: Plan, image_id: Path) -> list[str]:
    """The command of a build. The engine's id of the image is written to the file `image_id`."""
    words = [*client.build, "--progress=plain", f"--file={plan.dockerfile}", f"--iidfile={image_id}"]
    words += [f"--platform={plan.platform}", f"--network={plan.network}"]
    words += [f"--tag={plan.tag}"] if plan.tag else []
    words += [f"--target={plan.target}"] if plan.target else []
    words += [f"--build-arg={name}={value}" for name, value in sorted(plan.arguments.items())]
    # The image itself tells the next builder what it may keep.
    words.append("--build-arg=BUILDKIT_INLINE_CACHE=1")
    words += [f"--secret=id={id},src={path}" for id, path in sorted(plan.secrets.items())]
    words += [f"--ssh={id}={path}" for id, path in sorted(plan.ssh.items())]
    words += [f"--label={name}={value}" for name, value in sorted(plan.labels.items())]
    words += [f"--annotation={name}={value}" for name, value in sorted(plan.annotations.items())]
    words += [f"--cache-from={image}" for image in plan.cache_from]
    if plan.cache:
        words += [f"--cache-from=type=registry,ref={plan.cache}"]
        words += [f"--cache-to=type=registry,ref={plan.cache},mode=max"]
    return [*words, "--", str(plan.context)]


class Engine:
    """A Docker engine. Every method raises `EngineGone` (try again), or something `Refused`."""

    def __init__(
        self, settings: DockerfileSettings, registries: Mapping[str, RegistrySettings], directory: Path
    ) -> None:
        """`directory` is a throwaway one: credentials are in it while the engine is worked with."""
        self.address = settings.engine
        self._directory = directory
        (directory / "config.json").write_text(json.dumps(_login(registries)))
        (directory / "config.json").chmod(0o600)
        more = {"DOCKER_HOST": settings.engine, "DOCKER_CONFIG": str(directory), "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
        if settings.tls is not None:
            for name in ("ca", "cert", "key"):
                (directory / f"{name}.pem").symlink_to(getattr(settings.tls, name))
            more |= {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(directory)}
        self._env = environment(directory, **more)
        self.client = find(self._env)
        self._env["DOCKER_BUILDKIT"] = "1"
        self.keeps_caches = self._meet()
        # Only the containerd store keeps manifests, and with them what is written there.
        self.annotates = self.keeps_caches and self.client.annotates

    def _meet(self) -> bool:
        """Whether the engine can keep a cache in a registry. A `BuildRefused` if it has no BuildKit at all."""
        version = self._docker("version", "--format={{.Server.APIVersion}}").strip()
        form = "{{json .ServerVersion}} {{json .OSType}} {{json .DriverStatus}}"
        said = self._docker("info", f"--format={form}")
        if tuple(map(int, re.findall(r"\d+", version)[:2])) < _OLDEST_API or '"windows"' in said:
            why = f"expected an engine with BuildKit, got one that speaks {version} ({inert(said, 60)})"
            raise BuildRefused(self.address, why, "Linux engines have BuildKit since 18.09")
        return self.client.has_buildx and "io.containerd.snapshotter" in said

    def image(self, name: str) -> dict[str, Any] | None:
        """What the engine knows of an image (`docker image inspect`), or None if it has none of that name."""
        try:
            found = json.loads(self._docker("image", "inspect", "--", name))
        except BuildRefused:
            return None
        return found[0] if isinstance(found, list) and found and isinstance(found[0], dict) else None

    def build(self, plan: Plan) -> Progress:
        """Builds an image and tells how it went. `BuildFailed` holds the last lines of the failing step only."""
        image_id = self._directory / "image-id"
        words = argv(self.client, plan, image_id)
        try:
            ran = run(words, cwd=None, env=self._env, deadline=plan.deadline, accept=range(-64, 256), keep=_TALK)
        except ToolTimedOut as error:
            raise BuildTimedOut(plan.name, error.seconds, inert(_at(error.said), 200)) from None
        text = ran.stderr.decode("utf-8", "replace")
        progress = read(text)
        if ran.code != 0:
            self._explain(plan, progress, text)
        if not progress.is_buildkit:
            raise BuildRefused(self.address, "expected BuildKit, got the legacy builder", "update the engine")
        return progress

    def _explain(self, plan: Plan, progress: Progress, text: str) -> None:
        said = progress.failure or "\n".join([row for row in text.splitlines() if row and not row.startswith("#")][-5:])
        said = without(said, sorted(filter(None, plan.hidden), key=len, reverse=True))
        said = "\n".join(inert(row, 500) for row in said.splitlines())
        self._docker("version", "--format={{.Server.Version}}")  # EngineGone, if that is the reason
        if _FULL in text.lower():
            raise BuildRefused(self.address, f"its disk is full: {said}", "free some space: docker builder prune")
        raise BuildFailed(plan.name, said or "the build failed without a word")

    def configuration(self, name: str) -> str:
        """Everything that an image tells about itself: its configuration and its history."""
        form = "{{.CreatedBy}} {{.Comment}}"
        return self._docker("image", "inspect", "--", name) + self._docker(
            "history", "--no-trunc", f"--format={form}", "--", name
        )

    def push(self, name: str) -> frozenset[str]:
        """Pushes an image; the first twelve digits of the diff IDs of the layers that really travelled."""
        said = self._docker("push", "--", name, deadline=timedelta(hours=2))
        return frozenset(_PUSHED.findall(said))

    def forget(self, name: str) -> None:
        """Takes a name away from an image; one that has no other goes, but for what the build cache needs."""
        try:
            self._docker("image", "rm", "--", name)
        except Refused:
            return

    def _docker(self, *words: str, deadline: timedelta = _QUICKLY) -> str:
        try:
            ran = run([self.client.program, *words], cwd=None, env=self._env, deadline=deadline)
        except ToolTimedOut as error:
            raise EngineGone(self.address, f"`docker {words[0]}` took more than {error.seconds:g} s") from None
        except ToolFailed as error:
            if _GONE.search(error.said.lower()):
                raise EngineGone(self.address, error.said) from None
            hint = "free some space: docker builder prune" if _FULL in error.said.lower() else ""
            raise BuildRefused(self.address, f"docker {words[0]}: {error.said}", hint) from None
        return ran.stdout.decode("utf-8", "replace")


def _login(registries: Mapping[str, RegistrySettings]) -> dict[str, Any]:
    """Docker's own configuration file, with the credentials of these registries and of no others."""
    auths = {}
    for host, registry in registries.items():
        if registry.username and registry.password:
            word = base64.b64encode(f"{registry.username}:{registry.password.reveal()}".encode()).decode()
            auths[_HUB if host in ("docker.io", "registry-1.docker.io") else host] = {"auth": word}
    return {"auths": auths}


def _at(said: str) -> str:
    """The step that a build was at when its last words were these."""
    vertices = read(said).vertices
    going = [vertex.name for vertex in vertices if not vertex.seconds and not vertex.cached and vertex.label]
    return going[-1] if going else ""
