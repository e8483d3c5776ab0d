"""A Redis of our own, on a private port and directory, that can be killed and come back empty."""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.rig.process import free_port, listens, need, server


@dataclass
class RealRedis:
    """A running server. `url` is what a broker is configured with."""

    directory: Path
    port: int
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Starts it, with nothing in it: it keeps nothing on disk."""
        argv = ["redis-server", "--port", f"{self.port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        argv += ["--dir", str(self.directory)]
        log = self.directory / "redis.log"
        self.process = self._stack.enter_context(server(argv, log, lambda: listens(self.port)))

    def kill(self) -> None:
        """Ends it with SIGKILL; what was in it is lost."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def redis(directory: Path) -> Iterator[RealRedis]:
    """A Redis until the block ends."""
    need("redis-server")
    directory.mkdir(parents=True, exist_ok=True)
    running = RealRedis(directory, free_port())
    with running._stack:
        running.start()
        yield running
