"""Large repositories: what they cost."""

import random
import subprocess
import sys
from pathlib import Path

from tests.rig.git_server import Origin, git_host

LARGE = 64 * 1024**2

# In a process of its own: what a process occupied before it became git counts as git's, and the tests are large.
_FETCH = """
import resource, sys
from pathlib import Path
from watcher.settings import GitSettings
from workers.git import Repository
Repository(sys.argv[1], "main", Path(sys.argv[2]), GitSettings()).fetch()
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""


def test_a_large_file_is_not_held_in_memory_when_it_comes(tmp_path: Path) -> None:
    origin = Origin(tmp_path / "shop.git")
    origin.git("config", "core.bigFileThreshold", "1m")
    origin.write({"lock": "side==1.0\n", "model.bin": random.Random(7).randbytes(LARGE)}, "First")
    with git_host(tmp_path) as host:
        fetch = [sys.executable, "-c", _FETCH, f"{host.url}/shop.git", str(tmp_path / "m.git")]
        said = subprocess.run(fetch, cwd=Path(__file__).parents[2], capture_output=True, check=True).stdout
    assert int(said) < LARGE * 3 / 4
