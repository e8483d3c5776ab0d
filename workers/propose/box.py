"""An image of the app as the place where a lock tool works.

Its PHP, its extensions and its platform are then those that the packages will meet. The tool gets a container of its
own: without the image's entrypoint, without privileges, with a file system that it cannot write to, and with nothing of
this machine but the throwaway directory, a cache, and the network, which it needs as much as on the machine itself.
"""

import contextlib
import hashlib
import os
import socket
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import requests
from docker import APIClient
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import LogConfig

from watcher.inert import inert
from workers.process import MEMORY, OUTPUT, SAID, Ran, ToolFailed, ToolTimedOut
from workers.propose.bench import Unsolved
from workers.propose.errors import EngineAway

LABEL = "toplayer.lock-tool"
_QUICKLY = timedelta(seconds=60)
_PULL = 600
_OLDEST_API = "1.39"
# The image has its own.
_NOT_PASSED = ("PATH", "TMPDIR", "NETRC", "SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True, slots=True)
class Box:
    """An image by its digest (`repository@sha256:…`), and the engine that runs it.

    `insists`: what is not in it is nowhere. `login` is what the engine needs to pull it (`username`, `password`).
    """

    image: str
    engine: str
    insists: bool = False
    login: Mapping[str, str] | None = None

    def holds(self, program: str) -> bool:
        """Whether the image is there and has the program. One that insists raises `Unsolved` or `EngineAway` if not."""
        try:
            found = self._has_image() and self._said(program, "--version") is not None
        except EngineAway:
            if self.insists:
                raise
            return False
        if self.insists and not found:
            hint = 'put it there, or let lock tools run on the machine (`lock_tools.place = "auto"`)'
            raise Unsolved(f"the image {self.image} has no {program}", hint)
        return found

    def version_of(self, program: str) -> str:
        """What the program says of its version."""
        return self._said(program, "--version") or ""

    def cache(self, state: Path) -> Path:
        """A directory for what its tools keep: what comes out of one image is shown to no other app."""
        return state / "boxes" / hashlib.sha256(self.image.partition("@")[0].encode()).hexdigest()[:16]

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        shared: Collection[Path],
        deadline: timedelta,
        accept: Collection[int] = (0,),
        secrets: Collection[str] = (),
    ) -> Ran:
        """Runs a tool to its end, as `workers.process.run` does. `shared` are the directories that both of us see.

        Raises `ToolFailed`, `ToolTimedOut` and `EngineAway`.
        """
        for place in shared:
            place.mkdir(parents=True, exist_ok=True)
        with self._asking() as api:
            _sweep(api)
            payload = _payload(self.image, argv, cwd, env, shared)
            id = api.create_container_from_config(payload)["Id"]
            try:
                api.start(id)
                try:
                    code = int(api.wait(id, timeout=deadline.total_seconds())["StatusCode"])
                except (requests.ReadTimeout, requests.ConnectionError):
                    raise ToolTimedOut(argv[0], deadline.total_seconds(), _hidden(_log(api, id), secrets)) from None
                out, err = _log(api, id, stderr=False), _log(api, id, stdout=False)
            finally:
                with contextlib.suppress(NotFound):
                    api.remove_container(id, force=True, v=True)
        if len(out) >= OUTPUT:
            raise ToolFailed(argv[0], code, f"it wrote more than {OUTPUT} bytes")
        if code not in accept:
            raise ToolFailed(argv[0], code, _hidden(err or out, secrets))
        return Ran(out, err[-SAID:], code)

    def _said(self, *argv: str) -> str | None:
        """What the program says without anything of ours; None if there is none, or it does not work."""
        try:
            ran = self.run(argv, cwd=Path("/"), env={"HOME": "/tmp"}, shared=(), deadline=_QUICKLY)  # noqa: S108
        except (ToolFailed, ToolTimedOut):
            return None
        return ran.stdout.decode("utf-8", "replace")

    def _has_image(self) -> bool:
        with self._asking() as api:
            with contextlib.suppress(ImageNotFound):
                api.inspect_image(self.image)
                return True
            if self.insists:
                repository, _, digest = self.image.partition("@")
                api.pull(repository, tag=digest, auth_config=dict(self.login) if self.login else None)
            return self.insists

    @contextlib.contextmanager
    def _asking(self) -> Iterator[APIClient]:
        try:
            # The library leaves the socket of a failed attempt open; this one is closed.
            with socket.socket(socket.AF_UNIX) as first:
                first.connect(self.engine.removeprefix("unix://"))
            with contextlib.closing(APIClient(self.engine, version=_OLDEST_API, timeout=_PULL)) as api:
                yield api
        except APIError as error:
            if error.status_code == 400 and "executable file not found" in str(error.explanation):
                raise ToolFailed(self.image, 127, inert(str(error.explanation), 300)) from None
            raise EngineAway(self.engine, inert(str(error.explanation or error), 300)) from None
        except (DockerException, requests.RequestException, OSError) as error:
            raise EngineAway(self.engine, inert(str(error), 300)) from None


def _payload(
    image: str, argv: Sequence[str], cwd: Path, env: Mapping[str, str], shared: Collection[Path]
) -> dict[str, Any]:
    """The body of `POST /containers/create`."""
    return {
        "Image": image,
        "Entrypoint": [argv[0]],
        "Cmd": list(argv[1:]),
        "WorkingDir": str(cwd),
        "Env": [f"{name}={value}" for name, value in env.items() if name not in _NOT_PASSED],
        "User": f"{os.getuid()}:{os.getgid()}",
        "Labels": {LABEL: str(int(time.time()))},
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            "Binds": [f"{place}:{place}" for place in shared],
            "NetworkMode": "host",
            "ReadonlyRootfs": True,
            "Tmpfs": {"/tmp": "mode=1777"},  # noqa: S108
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "Memory": MEMORY,
            "PidsLimit": 512,
            "LogConfig": LogConfig(type="json-file", config={"max-size": f"{OUTPUT}", "max-file": "1"}),
        },
    }


def _sweep(api: APIClient) -> None:
    """Takes away what a killed toplayer left."""
    for row in api.containers(all=True, filters={"label": LABEL}):
        if time.time() - float(row.get("Created") or 0) > _PULL + _QUICKLY.total_seconds():
            with contextlib.suppress(APIError):
                api.remove_container(row["Id"], force=True, v=True)


def _log(api: APIClient, id: str, *, stdout: bool = True, stderr: bool = True) -> bytes:
    return bytes(api.logs(id, stdout=stdout, stderr=stderr))


def _hidden(said: bytes, secrets: Collection[str]) -> str:
    text = said.decode("utf-8", "replace").strip()
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return inert(text[-2_000:])
