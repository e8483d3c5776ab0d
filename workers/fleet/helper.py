"""A pull that the host owns: a small container beside its engine asks for the image and listens to the end.

An engine throws away what it has of a pull when whoever asked for it hangs up (moby#26146; the containerd store keeps
whole layers). So who asks is not a worker at the other end of a slow link, but a script in a container on the host
(`puller.py`). Workers come, look, and may die. Or the script carries the layers to the engine by itself: then nothing
that has come is ever thrown away.

The container runs in an image that the settings name, with the engine's socket. It gets the script and the registry's
credentials as files, which go when it goes; nothing secret stands in its arguments or environment.
"""

import base64
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from watcher.image import Digest
from workers.fleet import beside
from workers.fleet.engine import Engine
from workers.fleet.host import Service
from workers.fleet.labels import BESIDES, IMAGE, PULL
from workers.oci.manifest import Descriptor

HOME, BLOBS = "toplayer-pull", "toplayer-blobs"
_SOCKET = "/run/toplayer-engine.sock"
_TRIAL = f"import socket; socket.socket(socket.AF_UNIX).connect({_SOCKET!r})"


@dataclass(frozen=True, slots=True)
class Load:
    """What the helper carries by itself: these layers, from the registry at `address` with the authority's certificate
    `ca` (PEM; empty: the usual ones), at most `rate` bytes in a second; and the other `files` of an image archive."""

    address: str
    layers: tuple[Descriptor, ...]
    files: Mapping[str, bytes]
    ca: str = ""
    rate: int | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What the helper wrote: how many bytes it has, of how many as far as is known, and how many events it has heard,
    because unpacking a layer is progress, too; and in the end what was downloaded, or an error, or how little of the
    disk is free of what it `needs`."""

    current: int = 0
    total: int = 0
    events: int = 0
    downloaded: frozenset[str] | None = None
    error: str = ""
    free: int | None = None
    needs: int = 0

    @property
    def is_over(self) -> bool:
        return self.is_final or bool(self.error)

    @property
    def is_final(self) -> bool:
        """Whether nothing more is to come of it. After an error that came of the engine's own end, there is."""
        return self.downloaded is not None or self.free is not None


def payload(service: Service, image: Digest, socket: str, besides: int = 0, carries: bool = False) -> dict[str, Any]:
    """The body of `POST /containers/create` for a helper that brings `image`, beside the engine that is at `socket`.

    `besides` are the bytes that travelled for the helper itself. One that `carries` has the host's network, and a
    volume for what it has so far, which outlives it.
    """
    # A mount and not a bind: where there is no such socket it is refused, and no directory is made.
    mounts: list[dict[str, Any]] = [{"Type": "bind", "Source": socket, "Target": _SOCKET}]
    if carries:
        labels = {"Labels": {PULL: service.name}}
        volume = {"Type": "volume", "Source": name_of(service), "Target": f"/{BLOBS}", "VolumeOptions": labels}
        mounts.append(volume)
    host = {
        "NetworkMode": "host" if carries else "none",
        "Mounts": mounts,
        # An engine that was restarted starts the pull again by itself: then the script has ended with an error.
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 5},
    }
    made = beside.payload(service, [f"/{HOME}/pull.py"], host)
    return made | {"Labels": {**made["Labels"], IMAGE: image, BESIDES: str(besides)}}


def tried(engine: Engine, service: Service, socket: str) -> tuple[int | None, str]:
    """Whether a helper could speak to the engine: the exit code, and what it said. Its image has to be there."""
    mounts = [{"Type": "bind", "Source": socket, "Target": _SOCKET}]
    host = {"NetworkMode": "none", "Mounts": mounts}
    return beside.run(engine, service, ["-c", _TRIAL], host, timedelta(seconds=20))


def name_of(service: Service) -> str:
    """What the helper of a service and its volume are called."""
    return f"{service.name}.pull"


def files(service: Service, image: Digest, needs: int, load: Load | None = None) -> bytes:
    """A tar for the root of the helper: the script, and its job with the credentials, for nobody else to read.

    `needs` are the bytes of disk without which it does not begin.
    """
    job = {
        "repository": service.repository,
        "image": image,
        "login": [service.username, service.password],
        "patience": service.patience.total_seconds(),
        "needs": needs,
        **_carried(service, load),
    }
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, raw in (("pull.py", _script()), ("job.json", json.dumps(job).encode())):
            info = tarfile.TarInfo(f"{HOME}/{name}")
            info.mode, info.size = 0o600, len(raw)
            tar.addfile(info, io.BytesIO(raw))
    return out.getvalue()


def _script() -> bytes:
    return (Path(__file__).parent / "puller.py").read_bytes()


def _carried(service: Service, load: Load | None) -> dict[str, Any]:
    if load is None:
        return {"files": {}}
    layers = {layer.digest: layer.size for layer in load.layers}
    return {
        "registry": load.address,
        "path": service.repository.partition("/")[2],
        "ca": load.ca,
        "rate": load.rate,
        "layers": [{"digest": digest, "size": size} for digest, size in layers.items()],
        "files": {name: base64.b64encode(raw).decode() for name, raw in load.files.items()},
    }


def said(log: str) -> Said:
    """The last thing that a helper said. Lines that are not its own are passed over."""
    for line in reversed(log.splitlines()):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, Mapping) and {"error", "downloaded", "current", "free"} & row.keys():
            downloaded = row.get("downloaded")
            return Said(
                current=int(row.get("current") or 0),
                total=int(row.get("total") or 0),
                events=int(row.get("events") or 0),
                free=int(row["free"]) if "free" in row else None,
                needs=int(row.get("needs") or 0),
                downloaded=frozenset(map(str, downloaded)) if isinstance(downloaded, list) else None,
                error=str(row.get("error") or ""),
            )
    return Said()
