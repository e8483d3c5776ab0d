"""Python's lock tools, which nobody wants in their environment: each has one of its own, that uv makes once."""

import os
import subprocess
from functools import cache
from pathlib import Path

import uv

from tests.rig.process import lack

VERSIONS = {"poetry": "2.5.1", "pip-tools": "7.6.2", "pdm": "2.29.3", "pipenv": "2026.10.3"}
"""The distributions, and the versions that the tests are about."""
EXTRAS = {"pdm": "[locked]"}
"""What they are installed with: the very libraries that they were released with."""
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "toplayer-tests"
"""Where the rig keeps what it need not fetch twice."""


@cache
def lock_tool(distribution: str) -> Path:
    """The directory that has the tool, to be put on PATH. Without a public index the test is skipped."""
    home = CACHE / f"{distribution}-{VERSIONS[distribution]}"
    wanted = f"{distribution}{EXTRAS.get(distribution, '')}=={VERSIONS[distribution]}"
    env = {**os.environ, "UV_TOOL_DIR": str(home / "tools"), "UV_TOOL_BIN_DIR": str(home / "bin")}
    env["UV_COMPILE_BYTECODE"] = "1"  # whoever is confined cannot, and would compile everything for every command
    argv = [uv.find_uv_bin(), "tool", "install", "--quiet", wanted]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        lack(f"{wanted} from the public index of Python packages: {done.stderr.strip()[-300:]}")
    return home / "bin"
