"""The door to one Docker engine, by docker-py's low-level client. Above it nobody knows the library.

Every method raises `HostUnreachable`, `HostBusy` or `HostRefused` and nothing else. Nothing is taken from our own
environment or from `~/.docker`: no context, no proxy, no certificate bundle, no credentials.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import requests
from docker import APIClient
from docker.auth import encode_header
from docker.errors import APIError, DockerException
from docker.utils.json_stream import json_stream
from urllib3.exceptions import HTTPError, ReadTimeoutError

from watcher.fleet import TlsSettings
from watcher.image import Platform
from watcher.machine import Takes
from workers.fleet.answer import answered, not_answered, pull_failed
from workers.fleet.greet import greet
from workers.fleet.host import Tell, silent
from workers.fleet.labels import policy_of

ANSWER = 60.0
"""Seconds for any other answer; a `stop` has the container's grace on top."""

_NODE = 10.0
"""Seconds for what another node of a swarm has to say. One that is away says nothing."""
_SAID = 64 * 1024
_POLL = 0.05
_READS_ZSTD = 23
_UP = ("running", "restarting", "paused")


@dataclass(frozen=True, slots=True)
class Listed:
    """One container of the host, of whomever. `image` is the engine's id of its image; `network` is where its network
    comes from (`container:ID`: from another one)."""

    id: str
    name: str
    labels: Mapping[str, str]
    image: str
    network: str
    up: bool


def is_up(inspected: Mapping[str, Any]) -> bool:
    """Whether a container runs, or is about to again, by what the engine knows of it.

    The list of all containers is a moment behind that: from Docker 23 on, one that was just stopped still runs there.
    """
    state = inspected.get("State") or {}
    return bool(state.get("Running") or state.get("Restarting"))


class Engine:
    """One engine, by `unix:///path` or `tcp://host:port`. Connects when it is first asked something."""

    def __init__(self, host: str, address: str, tls: TlsSettings | None = None) -> None:
        self.host, self._address, self._tls = host, address, tls
        self._connected: APIClient | None = None

    def close(self) -> None:
        """Gives the connections back."""
        if self._connected is not None:
            self._connected.close()
            self._connected = None

    def platform(self) -> Platform:
        """What the engine runs on."""
        with self._asking() as api:
            version = api.version()
        return Platform(str(version.get("Os", "linux")), str(version.get("Arch", "")))

    def takes(self) -> Takes:
        """What the engine says that it takes."""
        with self._asking() as api:
            version, info = api.version(), api.info()
        return takes_of(version, info)

    # --- containers ---

    def containers(self) -> list[Listed]:
        """Every container of the host, running or not."""
        with self._asking() as api:
            rows = api.containers(all=True)
        return [
            Listed(
                id=row["Id"],
                name=min(row.get("Names") or [""], key=len).lstrip("/"),
                labels=row.get("Labels") or {},
                image=row.get("ImageID") or "",
                network=(row.get("HostConfig") or {}).get("NetworkMode") or "",
                up=row.get("State") in _UP,
            )
            for row in rows
        ]

    def inspect(self, id: str) -> Mapping[str, Any]:
        """Everything that the engine knows of a container."""
        with self._asking() as api:
            found: Mapping[str, Any] = api.inspect_container(id)
        return found

    def is_up(self, id: str) -> bool:
        """Whether a container runs, or is about to again."""
        return is_up(self.inspect(id))

    def create(self, name: str, payload: Mapping[str, Any]) -> str:
        """A new container, not started; its id."""
        with self._asking() as api:
            return str(api.create_container_from_config(dict(payload), name)["Id"])

    def has_network(self, name: str) -> bool:
        """Whether there is a network of this name."""
        return self.call("GET", f"/networks/{quote(name, safe='')}") is not None

    def join(self, id: str, network: str, endpoint: Mapping[str, Any]) -> None:
        """Connects a container to a network, unless it is."""
        with self._asking() as api:
            if network not in api.inspect_container(id)["NetworkSettings"]["Networks"]:
                body = {"Container": id, "EndpointConfig": dict(endpoint)}
                self.call("POST", f"/networks/{quote(network, safe='')}/connect", body)

    def start(self, id: str) -> None:
        """Starts a container that is not up."""
        with self._asking() as api:
            api.start(id)

    def stop(self, id: str, grace: timedelta) -> None:
        """Asks a container to stop, by its own stop signal, and kills it after `grace`."""
        with self._asking() as api:
            api.stop(id, timeout=max(round(grace.total_seconds()), 0))

    def restart(self, id: str, policy: str) -> None:
        """Sets a container's restart policy, in one word (`on-failure:5`)."""
        with self._asking() as api:
            api.update_container(id, restart_policy=policy_of(policy))

    def wait(self, id: str, deadline: timedelta) -> int | None:
        """Waits until a container has ended: its exit code, or None if it has not in time."""
        with self._asking() as api:
            try:
                return int(api.wait(id, timeout=max(deadline.total_seconds(), 0.1))["StatusCode"])
            except (requests.ReadTimeout, requests.ConnectionError):
                # The library says the one or the other when the answer takes too long.
                if not self.is_up(id):
                    raise
                return None

    def rename(self, id: str, name: str) -> None:
        """Gives a container another name."""
        with self._asking() as api:
            api.rename(id, name)

    def remove(self, id: str, *, volumes: bool = False) -> None:
        """Removes a container. Its anonymous volumes stay: what is in them may be somebody's only copy."""
        with self._asking() as api:
            api.remove_container(id, v=volumes, force=True)

    def log(self, id: str, lines: int = 20) -> str:
        """The last lines that a container wrote, as far as its log driver can be read."""
        said = b""
        with self._asking() as api, contextlib.suppress(APIError):
            said = api.logs(id, tail=lines)
        return said[-_SAID:].decode("utf-8", "replace")

    def task_log(self, id: str, lines: int = 20) -> str:
        """The last lines of a task of the swarm that this engine manages, on whichever of its nodes it was."""
        with self._asking() as api, contextlib.suppress(APIError, requests.RequestException, HTTPError):
            url = f"{api.base_url}/v{api.api_version}/tasks/{id}/logs"
            asked = {"stdout": "1", "stderr": "1", "tail": str(lines)}
            with contextlib.closing(api.get(url, params=asked, stream=True, timeout=_NODE)) as response:
                if response.ok:
                    return b"".join(_frames(response))[-_SAID:].decode("utf-8", "replace")
        return ""

    def run(self, id: str, argv: Sequence[str], deadline: timedelta) -> tuple[int | None, str]:
        """Runs a command inside a container: its exit code (None: it did not end in time) and its last output.

        The engine has no way to end such a command. One that hangs lives on until its container is stopped.
        """
        until = time.monotonic() + deadline.total_seconds()
        with self._asking() as api:
            made = api.exec_create(id, list(argv))["Id"]
            # The library's own reader switches the socket's timeout off.
            response = api.post(
                f"{api.base_url}/v{api.api_version}/exec/{made}/start",
                json={"Detach": False, "Tty": False},
                stream=True,
                timeout=max(deadline.total_seconds(), 0.1),
            )
            said = bytearray()
            with contextlib.closing(response):
                if not response.ok:
                    raise answered(self.host, response.status_code, response.text)
                with contextlib.suppress(ReadTimeoutError):
                    for chunk in _frames(response):
                        said += chunk
                        del said[:-_SAID]
                        if time.monotonic() > until:
                            break
            # The output may end before the command does.
            while (state := api.exec_inspect(made)).get("Running") and time.monotonic() < until:
                time.sleep(_POLL)
        return None if state.get("Running") else state.get("ExitCode"), said.decode("utf-8", "replace")

    # --- images ---

    def image(self, reference: str) -> Mapping[str, Any] | None:
        """Everything that the engine knows of an image, or None if it does not have it."""
        with self._asking() as api:
            try:
                found: Mapping[str, Any] = api.inspect_image(reference)
            except APIError as error:
                if error.status_code != requests.codes.not_found:
                    raise
                return None
        return found

    def images(self, repository: str) -> list[Mapping[str, Any]]:
        """The images that have a tag in a local repository."""
        with self._asking() as api:
            return list(api.images(name=repository))

    def forget_volume(self, name: str) -> None:
        """Removes a volume that has served its purpose; one that is not there, or in use, is left alone."""
        with self._asking() as api, contextlib.suppress(APIError):
            api.remove_volume(name)

    def put(self, id: str, files: bytes) -> None:
        """Unpacks a tar into the root of a container, which need not run."""
        with self._asking() as api:
            api.put_archive(id, "/", files)

    def pull(
        self, repository: str, image: str, login: tuple[str, str], patience: timedelta, tell: Tell = silent
    ) -> frozenset[str]:
        """Pulls an image by digest, or by tag; the short digests of the layers that were really downloaded.

        A connection that breaks makes the engine throw away what it had of the pull. An engine itself goes on where its
        own connection to a registry broke: it has `patience` for that. There is no limit on the whole: links are as
        slow as they are.
        """
        username, password = login
        auth = {"username": username, "password": password} if username else {}
        downloaded: dict[str, tuple[int, int]] = {}
        with self._asking() as api:
            response = api.post(
                f"{api.base_url}/v{api.api_version}/images/create",
                params={"fromImage": repository, "tag": image},
                headers={"X-Registry-Auth": encode_header(auth)},
                stream=True,
                # An answer without an end: what is limited is the silence between two of its events.
                timeout=patience.total_seconds(),
            )
            with contextlib.closing(response):
                # Whatever the status says, the reason is a JSON text; one that comes late arrives with status 200.
                for event in json_stream(response.iter_content(chunk_size=None)):
                    error = event.get("error") or (event.get("message") if not response.ok else None)
                    if error:
                        raise pull_failed(self.host, repository, str(error))
                    if event.get("status") in ("Downloading", "Download complete"):
                        _count(downloaded, event)
                        tell(sum(has for has, _ in downloaded.values()), sum(of for _, of in downloaded.values()))
        return frozenset(downloaded)

    def layers(self) -> list[Sequence[str]]:
        """The diff IDs of every image that the engine has, each from the bottom up."""
        with self._asking() as api:
            ids = {str(row["Id"]) for row in api.images()}
        found = (self.image(id) for id in sorted(ids))
        return [((one or {}).get("RootFS") or {}).get("Layers") or () for one in found]

    def load(self, archive: Iterator[bytes], patience: timedelta) -> None:
        """Sends an archive of images; a refusal of the engine's may come after the last byte.

        What the engine says while it unpacks them is a sign of life; without any for `patience`, it is given up.
        """
        with self._asking() as api:
            response = api.post(
                f"{api.base_url}/v{api.api_version}/images/load",
                params={"quiet": "0"},
                data=archive,
                headers={"Content-Type": "application/x-tar"},
                stream=True,
                timeout=patience.total_seconds(),
            )
            with contextlib.closing(response):
                if not response.ok:
                    raise answered(self.host, response.status_code, response.text)
                for event in json_stream(response.iter_content(chunk_size=None)):
                    if event.get("error"):
                        raise answered(self.host, 500, str(event["error"]))

    def tag(self, id: str, repository: str, tag: str) -> None:
        """Gives an image a name of ours."""
        with self._asking() as api:
            api.tag(id, repository, tag)

    def untag(self, reference: str) -> None:
        """Takes a name from an image, and the image away with its last one. One in use, or gone, is left alone."""
        with self._asking() as api, contextlib.suppress(APIError):
            api.remove_image(reference)

    def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, headers: Mapping[str, str] | None = None
    ) -> Any:
        """What the engine's API answers to a request that the library has no word for; None if a GET finds nothing."""
        with self._asking() as api:
            url = f"{api.base_url}/v{api.api_version}{path}"
            response = api.request(method, url, json=body, headers=headers, timeout=ANSWER)
            if response.status_code == requests.codes.not_found and method == "GET":
                return None
            if not response.ok:
                raise answered(self.host, response.status_code, _message(response))
            return response.json() if response.content else {}

    # --- the door ---

    @contextlib.contextmanager
    def _asking(self) -> Iterator[APIClient]:
        try:
            if self._connected is None:
                self._connected = greet(self.host, self._address, self._tls, ANSWER)
            yield self._connected
        except APIError as error:
            raise answered(self.host, error.status_code or 0, error.explanation or str(error)) from error
        except (requests.RequestException, HTTPError, DockerException, OSError) as error:
            raise not_answered(self.host, error) from error


def takes_of(version: Mapping[str, Any], info: Mapping[str, Any]) -> Takes:
    """What an engine takes, by its answers to `/version` and `/info`.

    The containerd store calls itself a driver of the type `io.containerd.snapshotter.v1`. Docker reads zstd since 23.0
    (moby's pull request 40820). podman keeps layers by their digests, and reads zstd in every version of these years.
    """
    number, parts = str(version.get("Version", "")), version.get("Components") or ()
    if any("podman" in str(part.get("Name", "")).lower() for part in parts):
        return Takes(f"podman {number}", zstd=True, classic=False)
    containerd = ["driver-type", "io.containerd.snapshotter.v1"] in (info.get("DriverStatus") or ())
    major = number.partition(".")[0]
    recent = major.isdigit() and int(major) >= _READS_ZSTD
    store = "containerd store" if containerd else str(info.get("Driver", ""))
    return Takes(f"Docker {number}, {store}", zstd=recent or containerd, classic=not containerd)


def _message(response: requests.Response) -> str:
    try:
        return str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        return response.text


def _count(downloaded: dict[str, tuple[int, int]], event: Mapping[str, Any]) -> None:
    """Takes in how far a layer is, by an event of a pull."""
    id, detail = str(event.get("id")), event.get("progressDetail") or {}
    has, known = downloaded.get(id, (0, 0))
    known = max(known, detail.get("total") or 0)
    downloaded[id] = (known if event["status"] == "Download complete" else max(has, detail.get("current") or 0), known)


def _frames(response: requests.Response) -> Iterator[bytes]:
    """What a command wrote: the engine's stream of stdout and stderr, each piece with a head of eight bytes."""
    while len(head := response.raw.read(8)) == 8:
        left = int.from_bytes(head[4:])
        while left and (chunk := response.raw.read(min(left, _SAID))):
            left -= len(chunk)
            yield chunk
