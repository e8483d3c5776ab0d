"""Docker engines of our own: a private dockerd with its own data, which meets no other one."""

import contextlib
import ipaddress
import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM
from typing import Any

from docker import APIClient
from docker.errors import DockerException

from tests.rig.certs import Certs, make_certs
from tests.rig.process import free_port, need, need_root, server

_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


EVERYWHERE = "10.200.255.1"
"""An address that every engine with networks of its own has a way to, where somebody gives it to this machine. Engines
take a registry there without TLS, so that one name of an image does for all of them."""


@dataclass(frozen=True)
class Link:
    """A pair of virtual network cards, from us (`device`, with the address `near`) into a network namespace (`far`)."""

    device: str
    namespace: str
    near: str
    far: str

    def crossed(self) -> int:
        """Bytes that went over it so far, in both directions, with all that the protocols add."""
        here = Path("/sys/class/net") / self.device / "statistics"
        return sum(int((here / name).read_text()) for name in ("rx_bytes", "tx_bytes"))


@dataclass
class RealEngine:
    """A running dockerd. `address` is its unix socket; `tcp` is where it listens with mutual TLS by `certs`, if it was
    asked to: at the other end of its link, if it has one, so that whoever speaks to it crosses it.

    It pulls plainly from loopback, or from our end of its link, if it has networks of its own.
    """

    root: Path
    address: str
    tcp: str
    certs: Certs | None
    link: "Link | None"
    start: Callable[[], "subprocess.Popen[bytes]"]

    def __post_init__(self) -> None:
        self.process = self.start()

    @property
    def near(self) -> str:
        """Our end of its link."""
        return self.link.near if self.link else ""

    def settings(self) -> dict[str, Any]:
        """The host in a configuration, reached by TCP if the engine listens there."""
        if self.certs is None:
            return {"address": self.address}
        files = {"ca": str(self.certs.ca), "cert": str(self.certs.cert), "key": str(self.certs.key)}
        return {"address": self.tcp, "tls": files, "socket": self.address.removeprefix("unix://")}

    @property
    def pid(self) -> int:
        return self.process.pid

    def restart(self, signal: int = SIGTERM) -> None:
        """Ends the engine as `signal` ends it, and starts it again on its data."""
        self.process.send_signal(signal)
        self.process.wait(30)
        (self.root / "docker.pid").unlink(missing_ok=True)
        self.process = self.start()

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


def ran(api: APIClient, image: str, *command: str, volume: str = "") -> str:
    """What a container of the image says until it ends, which has to be well. It has no network."""
    more: dict[str, Any] = {"command": list(command)} if command else {}
    host = api.create_host_config(network_mode="none", binds=[volume] if volume else None)
    container = api.create_container(image, host_config=host, **more)
    try:
        api.start(container)
        code = api.wait(container, timeout=120)["StatusCode"]
        said: bytes = api.logs(container, stderr=True)
        assert code == 0, said.decode()
        return said.decode()
    finally:
        api.remove_container(container, force=True)


@contextlib.contextmanager
def engine(
    *,
    tls: bool = False,
    data_size: str = "",
    networks: bool = False,
    programs: str | None = None,
    containerd: bool | None = None,
) -> Iterator[RealEngine]:
    """A new engine, ready in a second or two. With `data_size` ("64m") its disk is no larger than that.

    With `tls` it also listens by TCP, on loopback or at the end of its link (without TLS, it would sleep 16 seconds
    first, as a warning). With `networks` it lives in a network namespace, where it has bridges and can publish ports;
    else its containers have the networks `none` and `host`. `programs` is a directory with another Docker than the one
    on PATH, and `containerd` lets it keep its images in the containerd store (from 24 on); where nothing is said, the
    environment says it (PROGRAMS and STORE), as in `make newer`.
    """
    need_root()
    programs = os.environ.get("PROGRAMS", "") if programs is None else programs
    containerd = os.environ.get("STORE") == "containerd" if containerd is None else containerd
    path_of_programs = f"{programs}:{_PATH}" if programs else _PATH
    dockerd = shutil.which("dockerd", path=path_of_programs)
    if dockerd is None:
        need("dockerd")
    # Not in pytest's directory: the path of a unix socket may have 107 bytes, and pytest would keep the data.
    root = Path(tempfile.mkdtemp(prefix="toplayer-engine-"))
    path, port = root / "docker.sock", free_port()
    argv = [str(dockerd), "--config-file", str(root / "daemon.json")]
    settings: dict[str, Any] = {
        "hosts": [f"unix://{path}"],
        "data-root": str(root / "data"),
        "exec-root": str(root / "exec"),
        "pidfile": str(root / "docker.pid"),
        "shutdown-timeout": 5,
    }
    if containerd:
        settings["features"] = {"containerd-snapshotter": True}
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        stack.callback(_unmount, root)
        link, certs, tcp = None, None, ""
        if networks:
            link = stack.enter_context(_namespace())
            argv = ["nsenter", f"--net=/run/netns/{link.namespace}", *argv]
            settings |= {"bip": "172.31.255.1/24", "insecure-registries": [f"{link.near}/32", f"{EVERYWHERE}/32"]}
        else:
            settings |= {"bridge": "none", "iptables": False, "ip-forward": False}
        if tls:
            tcp = f"tcp://{link.far if link else '127.0.0.1'}:{port}"
            certs = make_certs(root / "certs", *([link.far] if link else []))
            settings["hosts"].append(tcp)
            settings |= {"tlsverify": True, "tlscacert": str(certs.ca)}
            settings |= {"tlscert": str(certs.server_cert), "tlskey": str(certs.server_key)}
        (root / "daemon.json").write_text(json.dumps(settings))
        (root / "data").mkdir()
        if data_size:
            _run("mount", "-t", "tmpfs", "-o", f"size={data_size}", "tmpfs", str(root / "data"))

        def start() -> "subprocess.Popen[bytes]":
            env = dict(os.environ, PATH=path_of_programs)
            return stack.enter_context(server(argv, root / "log", lambda: _answers(path), env=env))

        running = RealEngine(root=root, address=f"unix://{path}", tcp=tcp, certs=certs, link=link, start=start)
        try:
            yield running
        finally:
            # A container that does not listen to signals would hold up the engine's own end.
            if running.process.poll() is None:
                with contextlib.suppress(DockerException, OSError):
                    running.clear()


@contextlib.contextmanager
def _namespace() -> Iterator[Link]:
    """A network namespace with a link to ours."""
    need("ip", "nsenter", "iptables")
    number = secrets.randbelow(1 << 14)
    name, near = f"toplayer-{number}", ipaddress.ip_address("10.201.0.0") + 4 * number + 1
    _run("ip", "netns", "add", name)
    try:
        _run("ip", "link", "add", f"tl-{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
        _run("ip", "addr", "add", f"{near}/30", "dev", f"tl-{number}")
        _run("ip", "link", "set", f"tl-{number}", "up")
        _run("ip", "-n", name, "addr", "add", f"{near + 1}/30", "dev", "eth0")
        for device in ("lo", "eth0"):
            _run("ip", "-n", name, "link", "set", device, "up")
        _run("ip", "-n", name, "route", "add", "default", "via", str(near))
        yield Link(device=f"tl-{number}", namespace=name, near=str(near), far=str(near + 1))
    finally:
        # The link goes with it.
        _run("ip", "netns", "del", name)


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, env=dict(os.environ, PATH=_PATH))
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"


def _answers(path: Path) -> bool:
    try:
        # The library leaves the socket of a failed attempt open; this one is closed.
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(str(path))
        with contextlib.closing(APIClient(f"unix://{path}", version="1.41", timeout=5)) as client:
            return bool(client.ping())
    except (DockerException, OSError):
        return False


def _unmount(root: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((mount for mount in mounts if mount.startswith(f"{root}/")), reverse=True):
        subprocess.run(["umount", "-l", mount], capture_output=True)
