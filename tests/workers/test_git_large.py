"""Large repositories: what they cost."""

import os
import random
import resource
from pathlib import Path

from tests.rig.git_server import Origin, git_host
from watcher.settings import GitSettings
from workers.git import Repository

LARGE = 64 * 1024**2


def test_a_large_file_is_not_held_in_memory_when_it_comes(tmp_path: Path) -> None:
    origin = Origin(tmp_path / "shop.git")
    origin.git("config", "core.bigFileThreshold", "1m")
    origin.write({"lock": "side==1.0\n", "model.bin": random.Random(7).randbytes(LARGE)}, "First")
    with git_host(tmp_path) as host:
        most = _most_memory(
            lambda: Repository(f"{host.url}/shop.git", "main", tmp_path / "m.git", GitSettings()).fetch()
        )
    assert most < LARGE * 3 / 4


def _most_memory(do: object) -> int:
    """Bytes of the largest process that was started by it. The server's are not among them."""
    assert callable(do)
    read, write = os.pipe()
    if os.fork() == 0:
        try:
            do()
            os.write(write, str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as said:
        return int(said.read())
