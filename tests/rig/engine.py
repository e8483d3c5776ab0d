"""Docker engines of our own: a private dockerd with its own data, which meets no other one."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker import APIClient
from docker.errors import DockerException

from tests.rig.certs import Certs
from tests.rig.process import free_port, need, need_root, server

_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


@dataclass(frozen=True)
class RealEngine:
    """A running dockerd. Containers on it have the networks `none` and `host`; it pulls plainly from loopback.

    `address` is its unix socket; `tcp` is where it listens with mutual TLS, if it was asked to.
    """

    root: Path
    address: str
    tcp: str
    pid: int

    @contextlib.contextmanager
    def api(self) -> Iterator[APIClient]:
        """The engine's API, for looking at what is there and for getting in the way."""
        client = APIClient(self.address, version="1.41", timeout=60)
        with contextlib.closing(client):
            yield client

    def clear(self, *, images: bool = False) -> None:
        """Removes all containers, and all images if wished."""
        with self.api() as api:
            for container in api.containers(all=True):
                api.remove_container(container["Id"], force=True, v=True)
            for image in api.images() if images else ():
                for name in [*(image["RepoTags"] or ()), *(image["RepoDigests"] or ())]:
                    with contextlib.suppress(DockerException):
                        api.remove_image(name)


@contextlib.contextmanager
def engine(certs: Certs | None = None, data_size: str = "") -> Iterator[RealEngine]:
    """A new engine, ready in a second or two. With `data_size` ("64m") its disk is no larger than that.

    With `certs` it also listens on loopback, with TLS (without, it would sleep 16 seconds first, as a warning).
    """
    need_root()
    dockerd = shutil.which("dockerd", path=_PATH)
    if dockerd is None:
        need("dockerd")
    # Not in pytest's directory: the path of a unix socket may have 107 bytes, and pytest would keep the data.
    root = Path(tempfile.mkdtemp(prefix="toplayer-engine-"))
    socket, port = root / "docker.sock", free_port()
    settings: dict[str, Any] = {
        "hosts": [f"unix://{socket}"],
        "data-root": str(root / "data"),
        "exec-root": str(root / "exec"),
        "pidfile": str(root / "docker.pid"),
        "bridge": "none",
        "iptables": False,
        "ip-forward": False,
        "shutdown-timeout": 5,
    }
    if certs is not None:
        settings["hosts"].append(f"tcp://127.0.0.1:{port}")
        settings |= {"tlsverify": True, "tlscacert": str(certs.ca)}
        settings |= {"tlscert": str(certs.server_cert), "tlskey": str(certs.server_key)}
    (root / "daemon.json").write_text(json.dumps(settings))
    (root / "data").mkdir()
    if data_size:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={data_size}", "tmpfs", str(root / "data")], check=True)
    argv = [str(dockerd), "--config-file", str(root / "daemon.json")]
    try:
        with server(argv, root / "log", lambda: _answers(socket), env=dict(os.environ, PATH=_PATH)) as process:
            running = RealEngine(root, f"unix://{socket}", f"tcp://127.0.0.1:{port}" if certs else "", process.pid)
            try:
                yield running
            finally:
                # A container that does not listen to signals would hold up the engine's own end.
                with contextlib.suppress(DockerException, OSError):
                    running.clear()
    finally:
        _unmount(root)
        shutil.rmtree(root, ignore_errors=True)


def _answers(socket: Path) -> bool:
    if not socket.exists():
        return False
    try:
        with contextlib.closing(APIClient(f"unix://{socket}", version="1.41", timeout=5)) as client:
            return bool(client.ping())
    except (DockerException, OSError):
        return False


def _unmount(root: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((mount for mount in mounts if mount.startswith(f"{root}/")), reverse=True):
        subprocess.run(["umount", "-l", mount], capture_output=True)
