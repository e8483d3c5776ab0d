"""Throwaway containers: something is put into one, a program runs there, and what it leaves is taken out.

Nothing of this machine is in it: no directory of ours is shared, so it works just as well if we are in a container
ourselves, or the engine is on another machine. A container has a limit on memory, on processes and on what it may say,
no capabilities, and an end; it is deleted whatever happens, and if we are killed, by whoever asks that engine next.
"""

import contextlib
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import IO, Any

import requests
from docker import APIClient
from docker.errors import APIError, DockerException
from docker.tls import TLSConfig
from docker.types import LogConfig
from urllib3.exceptions import HTTPError

from watcher.errors import Refused, Temporary
from watcher.fleet import TlsSettings
from watcher.inert import inert
from workers.process import OUTPUT, ToolTimedOut

LABEL = "io.toplayer.throwaway"
"""On every container of ours, with the time (in seconds) from which on it is a dead process's."""
_GREETING = 10.0
_ANSWER = 120
_MARGIN = timedelta(minutes=15)
"""What filling a container and emptying it may take, beside the time that its program has."""
_CHUNK = 1024 * 1024
_SHARES = 128
"""The weight of its processes, where others have 1024."""


class EngineGone(Temporary):
    """A Docker engine does not answer."""

    def __init__(self, address: str, why: str) -> None:
        self.address, self.why = address, why
        super().__init__(address, why)

    def __str__(self) -> str:
        return f"the Docker engine at {self.address} does not answer: {self.why}"


class EngineRefuses(Refused):
    """A Docker engine answers, and does not do what it is asked. `status` is that of its answer."""

    def __init__(self, address: str, why: str, status: int = 0) -> None:
        self.address, self.why, self.status = address, why, status
        super().__init__(address, why, status)

    def __str__(self) -> str:
        return f"the Docker engine at {self.address} refuses: {self.why}"


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine by its address: `unix:///path`, or `tcp://host:port` with the files for TLS."""

    address: str
    tls: TlsSettings | None = None

    @contextlib.contextmanager
    def asking(self) -> Iterator[APIClient]:
        """A connection. What goes wrong while it is open comes out as `EngineGone` or `EngineRefuses`."""
        tls: TLSConfig | bool = False
        if self.tls is not None:
            tls = TLSConfig((self.tls.cert, self.tls.key), self.tls.ca, verify=True)
        try:
            if self.address.startswith("unix://"):
                # The library leaves the socket of a failed attempt open; this one is closed.
                with socket.socket(socket.AF_UNIX) as first:
                    first.settimeout(_GREETING)
                    first.connect(self.address.removeprefix("unix://"))
            with contextlib.closing(APIClient(self.address, version="auto", timeout=_ANSWER, tls=tls)) as api:
                # Or else REQUESTS_CA_BUNDLE decides which certificates are good, and HTTP_PROXY which way to go.
                api.trust_env = False
                yield api
        except APIError as error:
            why = inert(str(error.explanation or error), 500)
            raise EngineRefuses(self.address, why, int(error.status_code or 0)) from error
        except (requests.RequestException, HTTPError, DockerException, OSError) as error:
            raise EngineGone(self.address, inert(str(error), 300)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is run: `argv` in `directory` of `image`. `name` is what people call it, `deadline` how long it may take.

    Of the processors it gets what others leave, and `cpus` at most. `volumes` are directories (by their paths) that
    can be written to even if the rest of it is `read_only`; one with a name is kept by the engine, one without lives
    as long as the container.
    """

    name: str
    image: str
    argv: Sequence[str]
    deadline: timedelta
    memory: int
    cpus: float | None = None
    directory: str = "/"
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = "0:0"
    network: str = "none"
    processes: int = 1024
    read_only: bool = False
    volumes: Mapping[str, str] = field(default_factory=dict)

    def payload(self, now: float) -> dict[str, Any]:
        """The body of `POST /containers/create`."""
        kept = [f"{name}:{place}" for place, name in self.volumes.items() if name]
        return {
            "Image": self.image,
            "Entrypoint": [self.argv[0]],
            "Cmd": list(self.argv[1:]),
            "WorkingDir": self.directory,
            "Env": [f"{name}={value}" for name, value in self.env.items()],
            "User": self.user,
            "Labels": {LABEL: str(int(now + (self.deadline + _MARGIN).total_seconds()))},
            "Healthcheck": {"Test": ["NONE"]},
            "Volumes": {place: {} for place, name in self.volumes.items() if not name},
            "HostConfig": {
                "Binds": kept,
                "NetworkMode": self.network,
                "ReadonlyRootfs": self.read_only,
                "Tmpfs": {"/tmp": "mode=1777"} if self.read_only else {},  # noqa: S108
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges"],
                "Memory": self.memory,
                # The same, so that it cannot go on in the swap.
                "MemorySwap": self.memory,
                # Whatever else runs there comes first.
                "CpuShares": _SHARES,
                "NanoCpus": int((self.cpus or 0) * 10**9),
                "PidsLimit": self.processes,
                "LogConfig": LogConfig(type="json-file", config={"max-size": f"{OUTPUT}", "max-file": "1"}),
            },
        }


@contextlib.contextmanager
def throwaway(api: APIClient, task: Task) -> Iterator["Container"]:
    """A container for the task, not started yet. Gone afterwards, with all that it held."""
    _sweep(api, time.time())
    container = Container(api, api.create_container_from_config(task.payload(time.time()))["Id"], task)
    try:
        yield container
    finally:
        with contextlib.suppress(DockerException, requests.RequestException, OSError):
            api.remove_container(container.id, force=True, v=True)


class Container:
    """One container, to be filled, run and emptied. What the engine does not do is an exception of its library."""

    def __init__(self, api: APIClient, id: str, task: Task) -> None:
        self._api, self.id, self._task = api, id, task

    def put(self, archive: IO[bytes], place: str = "/") -> None:
        """Unpacks a tar in the directory at `place`."""
        self._api.put_archive(self.id, place, archive)

    def run(self) -> int:
        """Runs it to its end, and tells its exit code. Raises `ToolTimedOut` with its last words."""
        seconds = self._task.deadline.total_seconds()
        self._api.start(self.id)
        try:
            return int(self._api.wait(self.id, timeout=seconds)["StatusCode"])
        except requests.exceptions.ReadTimeout:
            raise ToolTimedOut(self._task.name, seconds, self.last_words()) from None
        except requests.exceptions.ConnectionError as error:
            if "timed out" not in str(error).lower():
                raise
            raise ToolTimedOut(self._task.name, seconds, self.last_words()) from None

    def take(self, place: str) -> Iterator[bytes]:
        """The tar of what is at that place, in pieces."""
        stream, _ = self._api.get_archive(self.id, place, chunk_size=_CHUNK)
        yield from stream

    def has(self, path: str) -> bool:
        """Whether there is something at that path, before it runs as after."""
        try:
            stream, _ = self._api.get_archive(self.id, path)
        except APIError as error:
            if error.status_code == 404:
                return False
            raise
        stream.close()
        return True

    def said(self, *, stdout: bool = True, stderr: bool = True, tail: int | str = "all") -> bytes:
        """What it said."""
        return bytes(self._api.logs(self.id, stdout=stdout, stderr=stderr, tail=tail))

    def last_words(self) -> str:
        """The end of what it said, to be shown to people."""
        with contextlib.suppress(DockerException, requests.RequestException, OSError):
            said = self.said(tail=60)
            return inert(said.decode("utf-8", "replace").strip()[-1500:]) or "and said nothing"
        return "and what it said is lost"

    def ran_out_of_memory(self) -> bool:
        """Whether its end was its limit on memory."""
        return bool(self._api.inspect_container(self.id)["State"].get("OOMKilled"))


def _sweep(api: APIClient, now: float) -> None:
    """Takes away what a killed toplayer left."""
    for row in api.containers(all=True, filters={"label": LABEL}):
        until = str(row.get("Labels", {}).get(LABEL, ""))
        if until.isdecimal() and int(until) < now:
            with contextlib.suppress(APIError):
                api.remove_container(row["Id"], force=True, v=True)
