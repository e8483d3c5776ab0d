"""The door to the Docker engine that builds: its BuildKit, through the command that Docker has for it.

BuildKit's own protocol (gRPC over a hijacked connection) has no maintained client in Python; the command is stable, is
where the engine is, and when it ends, the engine ends the build.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from watcher.dockerfile.settings import DockerfileSettings
from watcher.errors import ToplayerError
from watcher.image import Platform, Reference
from watcher.inert import inert, without
from watcher.settings import RegistrySettings
from workers.dockerfile.blame import is_foreign, is_full, is_ours, is_weather
from workers.dockerfile.client import find
from workers.dockerfile.errors import BuildCutOff, BuildFailed, BuildRefused, BuildTimedOut, EngineGone
from workers.dockerfile.plan import Plan, argv
from workers.dockerfile.progress import Progress, read
from workers.oci.store import StoreUnreachable
from workers.oci.stores import logins
from workers.process import Ran, ToolFailed, ToolTimedOut, environment, run, tethered

_QUICKLY = timedelta(seconds=30)
_PATIENTLY = timedelta(hours=2)
_TALK = 16 * 1024**2
"""Bytes of a build's progress that are kept: the last ones."""
_OLDEST_API = (1, 39)
_WITH_CONTEXTS = (1, 42)
_PUSHED = re.compile(r"^([0-9a-f]{12}): Pushed\s*$", re.MULTILINE)
_MISSING = re.compile(r"no such (?:image|object)")
_FOREIGN = (
    "let a stage that is FROM --platform=$BUILDPLATFORM run it, and copy what it makes; "
    "or let the engine's machine run such programs (binfmt and qemu-user-static)"
)
_ROOM = "free some space: docker builder prune"


class Engine:
    """A Docker engine. Every method raises `EngineGone` (try again), or something `Refused`.

    `platform` is what it runs on. With `is_containerd` it keeps images in containerd's store: manifests and all, and
    each layer for itself. `keeps_caches`: it can keep a cache in a registry; `takes_contexts`: it can be given others
    than the one.
    """

    def __init__(self, settings: DockerfileSettings, directory: Path) -> None:
        """`directory` is a throwaway one: credentials are in it while the engine is worked with."""
        self.address = settings.engine
        self._directory = directory
        self.log_in((), {})
        more = {"DOCKER_HOST": settings.engine, "DOCKER_CONFIG": str(directory), "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
        if settings.tls is not None:
            for name in ("ca", "cert", "key"):
                (directory / f"{name}.pem").symlink_to(getattr(settings.tls, name))
            more |= {"DOCKER_CERT_PATH": str(directory), "DOCKER_TLS_VERIFY": "1"}
        self._env = environment(directory, **more)
        self.client = find(self._env)
        self._env["DOCKER_BUILDKIT"] = "1"
        api, self.platform, self.is_containerd = self._meet()
        self.keeps_caches = self.client.has_buildx and self.is_containerd
        self.takes_contexts = self.client.has_buildx and api >= _WITH_CONTEXTS

    def _meet(self) -> tuple[tuple[int, ...], Platform, bool]:
        """The version of its API, its platform, and whether it has containerd's store. A `BuildRefused` if it has no
        BuildKit at all."""
        version, os, architecture = self._version("{{.Server.APIVersion}} {{.Server.Os}} {{.Server.Arch}}").split()
        api = tuple(map(int, re.findall(r"\d+", version)[:2]))
        if api < _OLDEST_API or os == "windows":
            why = f"expected an engine with BuildKit, got one that speaks {version} on {os}"
            raise BuildRefused(self.address, why, "Linux engines have BuildKit since 18.09")
        said = self._docker("info", "--format={{json .DriverStatus}}")
        return api, Platform(os, architecture), "io.containerd.snapshotter" in said

    def log_in(self, images: Iterable[Reference], registries: Mapping[str, RegistrySettings]) -> None:
        """From now on the engine has the logins for the registries of these images, and no others: those by which they
        were looked up. Raises `StoreRefused` for one that cannot be used."""
        file = self._directory / "config.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps({"auths": logins(images, registries)}))

    def image(self, name: str) -> dict[str, Any] | None:
        """What the engine knows of an image (`docker image inspect`), or None if it has none of that name."""
        try:
            found = json.loads(self._docker("image", "inspect", "--", name))
        except BuildRefused as error:
            if _MISSING.search(error.why.lower()):
                return None
            raise
        return found[0] if isinstance(found, list) and found and isinstance(found[0], dict) else None

    def build(self, plan: Plan) -> Progress:
        """Builds an image and tells how it went. `BuildFailed` holds the last lines of the failing step only, and so
        does `BuildCutOff`, for a step that something far away did not answer. `BuildTimedOut` names the step."""
        heard = bytearray()

        def hear(data: bytes) -> None:
            heard.extend(data)
            del heard[:-_TALK]

        with tethered(argv(self.client, plan)) as (words, pipe):
            try:
                code = run(
                    words,
                    cwd=None,
                    env=self._env,
                    deadline=plan.deadline,
                    accept=range(-64, 256),
                    inherit=[pipe],
                    hear=hear,
                ).code
            except ToolTimedOut as error:
                step = inert(read(_text(heard)).going_on, 200)
                raise BuildTimedOut(plan.name, error.seconds, step) from None
        progress = read(_text(heard))
        if code != 0:
            self._explain(plan, progress, _text(heard))
        if not progress.is_buildkit:
            raise BuildRefused(self.address, "expected BuildKit, got the legacy builder", "update the engine")
        return progress

    def _explain(self, plan: Plan, progress: Progress, text: str) -> None:
        said = progress.failure or "\n".join([row for row in text.split("\n") if row and not row.startswith("#")][-5:])
        said = without(said, sorted(filter(None, plan.hidden), key=len, reverse=True))
        said = "\n".join(inert(row, 500) for row in said.split("\n"))
        self._version()  # EngineGone, if that is the reason
        if is_full(text):
            raise BuildRefused(self.address, f"its disk is full: {said}", _ROOM)
        if is_foreign(said) and not self.platform.is_like(plan.platform):
            why = f"the engine at {self.address} cannot run what is for {plan.platform}: {said}"
            raise BuildRefused(plan.name, why, _FOREIGN)
        if is_weather(said):
            raise BuildCutOff(plan.name, said)
        raise BuildFailed(plan.name, said or "the build failed without a word")

    def texts(self, name: str) -> Iterator[str]:
        """Everything that an image tells about itself: each text of its configuration and of its history."""
        said = [self._docker("image", "inspect", "--", name)]
        said += self._docker("history", "--no-trunc", "--format={{json .}}", "--", name).splitlines()
        for row in said:
            yield from _texts(json.loads(row))

    def save(self, name: str, file: Path) -> None:
        """Writes an image into a file, as `docker save` does."""
        self._docker("image", "save", f"--output={file}", "--", name, deadline=_PATIENTLY)

    def push(self, name: str) -> frozenset[str]:
        """Pushes an image; the first twelve digits of what really travelled: the diff IDs of layers, or the digests of
        their blobs, as the engine has them. Raises `StoreUnreachable` if the registry does not answer."""
        try:
            with tethered([self.client.program, "push", "--", name]) as (words, pipe):
                ran = run(words, cwd=None, env=self._env, deadline=_PATIENTLY, inherit=[pipe])
        except ToolTimedOut as error:
            self._version()
            raise StoreUnreachable(name, f"a push did not come to its end in {error.seconds:g} s") from None
        except ToolFailed as error:
            self._version()
            if is_weather(error.said):
                raise StoreUnreachable(name, error.said) from None
            raise BuildRefused(name, error.said, _ROOM if is_full(error.said) else "") from None
        return frozenset(_PUSHED.findall(_text(ran.stdout)))

    def forget(self, name: str) -> None:
        """Takes a name away from an image; one that has no other goes, but for what the build cache needs. What goes
        wrong with that is nobody's concern: the next build of the name takes it over."""
        try:
            self._docker("image", "rm", "--", name)
        except ToplayerError:
            return

    def _version(self, form: str = "{{.Server.Version}}") -> str:
        """What it is. `EngineGone` if it does not answer: whatever else has failed, that is why."""
        try:
            return _text(self._ran("version", f"--format={form}", deadline=_QUICKLY).stdout).strip()
        except ToolFailed as error:
            if is_ours(error.said):
                raise BuildRefused(self.address, error.said, "see `engine` in apps.*.image.dockerfile") from None
            raise EngineGone(self.address, error.said) from None

    def _docker(self, *words: str, deadline: timedelta = _QUICKLY) -> str:
        try:
            return _text(self._ran(*words, deadline=deadline).stdout)
        except ToolFailed as error:
            self._version()
            raise BuildRefused(
                self.address, f"docker {words[0]}: {error.said}", _ROOM if is_full(error.said) else ""
            ) from None

    def _ran(self, *words: str, deadline: timedelta) -> Ran:
        try:
            return run([self.client.program, *words], cwd=None, env=self._env, deadline=deadline)
        except ToolTimedOut as error:
            raise EngineGone(self.address, f"`docker {words[0]}` took more than {error.seconds:g} s") from None


def _text(said: bytes | bytearray) -> str:
    return said.decode("utf-8", "replace")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    parts: Collection[Any] = (*value, *value.values()) if isinstance(value, dict) else value
    for part in parts if isinstance(value, (dict, list)) else ():
        yield from _texts(part)
