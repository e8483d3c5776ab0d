"""A Redis of our own, on a private port and directory, that can be killed and come back empty."""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from redis import Redis

from tests.rig.process import free_port, listens, need, server


@dataclass
class RealRedis:
    """A running server. `url` is what a broker is configured with."""

    directory: Path
    port: int
    listen: str = ""
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self, *, keeps: bool = False) -> None:
        """Starts it: with nothing in it, or with what it kept on disk, every order of which is safe there."""
        argv = ["redis-server", "--port", f"{self.port}", "--bind", "127.0.0.1", *filter(None, [self.listen])]
        argv += ["--protected-mode", "no"] if self.listen else []
        argv += ["--save", "", "--appendonly", "yes" if keeps else "no", "--appendfsync", "always"]
        argv += ["--dir", str(self.directory)]
        log = self.directory / "redis.log"
        self.process = self._stack.enter_context(server(argv, log, lambda: listens(self.port)))

    def flush(self) -> None:
        """Empties it while it runs."""
        with Redis.from_url(self.url) as client:
            client.flushall()

    def sent(self) -> int:
        """Messages that were put into its queues so far."""
        with Redis.from_url(self.url) as client:
            return int(client.info("commandstats").get("cmdstat_lpush", {}).get("calls", 0))

    def kill(self) -> None:
        """Ends it with SIGKILL; what was in it is lost, unless it keeps things on disk."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def redis(directory: Path, listen: str = "") -> Iterator[RealRedis]:
    """A Redis until the block ends. It is on loopback, and at the address `listen` if there is one."""
    need("redis-server")
    directory.mkdir(parents=True, exist_ok=True)
    running = RealRedis(directory, free_port(), listen)
    with running._stack:
        running.start()
        yield running
