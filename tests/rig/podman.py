"""A podman of our own: its own storage, which meets no other one."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.rig.process import need, need_root

# Its own are higher than a container may be allowed that is root in a container itself.
_LIMITS = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")


@dataclass(frozen=True)
class Podman:
    """Pulls plainly from loopback. Its containers have no network."""

    root: Path

    def pull(self, image: str) -> None:
        self._said("pull", "-q", "--tls-verify=false", f"docker://{image}")

    def run(self, image: str, *command: str) -> str:
        """What a container of the image says until it ends."""
        return self._said("run", "--rm", *_LIMITS, "--network=none", image, *command)

    def _said(self, *words: str) -> str:
        ours = [f"--root={self.root}/storage", f"--runroot={self.root}/run", "--cgroup-manager=cgroupfs"]
        env = {"PATH": os.environ["PATH"], "HOME": str(self.root), "CONTAINERS_CONF": os.devnull}
        argv = ["podman", *ours, "--events-backend=file", *words]
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"podman {' '.join(words)}: {done.stderr}"
        return done.stdout


@contextlib.contextmanager
def podman() -> Iterator[Podman]:
    """A podman, as root: so that a layer's owners are whom it says."""
    need_root()
    need("podman", "conmon", "runc")
    root = Path(tempfile.mkdtemp(prefix="toplayer-podman-"))
    try:
        yield Podman(root)
    finally:
        # The driver leaves its own directory mounted.
        subprocess.run(["umount", "-l", str(root / "storage" / "overlay")], capture_output=True)
        shutil.rmtree(root, ignore_errors=True)
