"""Which of the `docker` commands on this machine can let an engine build with BuildKit."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from workers.dockerfile.errors import BuildRefused
from workers.process import ToolFailed, run

_VERSION = re.compile(rb"Docker version (\d+)\.(\d+)")
_OLDEST, _WITHOUT_PLUGIN = (18, 9), (23, 0)
_QUICKLY = timedelta(seconds=20)
_REMEDY = (
    "install docker's buildx plugin (Debian: docker-buildx, Docker's own packages: docker-buildx-plugin), "
    "or a client between 18.09 and 20.10, which needs none; the legacy builder is not used: it cannot say what it "
    "kept, nor start from the cache of another machine"
)


@dataclass(frozen=True, slots=True)
class Client:
    """A `docker` command. With `has_buildx` it builds by that plugin, else by itself (18.09 to 20.10)."""

    program: str
    has_buildx: bool

    @property
    def build(self) -> tuple[str, ...]:
        """The words that begin a build."""
        return (self.program, "buildx", "build", "--load") if self.has_buildx else (self.program, "build")


def find(env: Mapping[str, str]) -> Client:
    """The first `docker` on PATH that can build with BuildKit. A `BuildRefused` names the remedy if none can."""
    seen = []
    for program in _programs(env.get("PATH", os.defpath)):
        if _has_buildx(program, env):
            return Client(program, has_buildx=True)
        version = _version(program, env)
        if _OLDEST <= version < _WITHOUT_PLUGIN:
            return Client(program, has_buildx=False)
        seen.append(f"{program} ({version[0]}.{version[1]:02}, without buildx)")
    got = ", ".join(seen) or "no docker at all"
    raise BuildRefused("docker", f"expected a command on PATH that can build with BuildKit, got {got}", _REMEDY)


def _programs(path: str) -> Iterator[str]:
    for directory in dict.fromkeys(filter(None, path.split(os.pathsep))):
        program = Path(directory) / "docker"
        if os.access(program, os.X_OK):
            yield str(program)


def _has_buildx(program: str, env: Mapping[str, str]) -> bool:
    try:
        run([program, "buildx", "version"], cwd=None, env=env, deadline=_QUICKLY)
    except ToolFailed:
        return False
    return True


def _version(program: str, env: Mapping[str, str]) -> tuple[int, int]:
    try:
        found = _VERSION.search(run([program, "--version"], cwd=None, env=env, deadline=_QUICKLY).stdout)
    except ToolFailed:
        return (0, 0)
    return (int(found[1]), int(found[2])) if found else (0, 0)
