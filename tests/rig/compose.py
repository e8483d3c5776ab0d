"""The real Docker Compose (2.x), on an engine of our own."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.rig.engine import RealEngine
from tests.rig.process import lack

_HOMES = ("/usr/local/lib", "/usr/libexec", "/usr/lib")


@dataclass(frozen=True)
class Project:
    """A project in the directory `home`, whose file is `compose.yaml`."""

    engine: RealEngine
    home: Path
    name: str

    def run(self, *argv: str) -> str:
        """What a command of Compose says on both of its outputs."""
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "DOCKER_HOST": self.engine.address}
        done = subprocess.run(
            [program(), "-p", self.name, "-f", str(self.home / "compose.yaml"), *argv],
            capture_output=True,
            text=True,
            env=env,
            timeout=60,
        )
        assert done.returncode == 0, f"{argv}: {done.stderr}"
        return done.stdout + done.stderr


def program() -> str:
    """Where Compose is. Without one the test is skipped, or fails under CI=true."""
    found = next((path for home in _HOMES if (path := Path(home) / "docker/cli-plugins/docker-compose").exists()), None)
    if found is None:
        lack("docker compose (2.x) not installed; `make test` as root installs what the tests need")
    return str(found)
