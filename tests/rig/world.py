"""A whole installation in one directory: an app that people work on, its configuration, and the real command line."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.rig import forks
from tests.rig.base_image import base_image
from tests.rig.git_server import Origin

ROOT = Path(__file__).parents[2]
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

APP = {
    "shop/__init__.py": "",
    "shop/health.py": "import alpha\n",
    "shop/worker.py": "import signal, sys\nsignal.signal(15, lambda *_: sys.exit(0))\nprint('it runs', flush=True)\n"
    "while True:\n    signal.pause()\n",
}


@dataclass
class World:
    """`origin` is the app's repository, `config` its toplayer.toml. Hosts are names with addresses."""

    root: Path
    origin: Origin
    index_url: str = ""
    env: dict[str, str] = field(default_factory=dict)
    prelude: str = ""
    """Python that every process runs before it is toplayer."""

    @property
    def config(self) -> Path:
        return self.root / "toplayer.toml"

    @property
    def ledger_url(self) -> str:
        return f"sqlite:///{self.root}/state/ledger.db"

    def configure(
        self,
        hosts: Mapping[str, str | Mapping[str, Any]],
        *,
        image: Mapping[str, Any] | None = None,
        app: Mapping[str, Any] | None = None,
        run: Mapping[str, Any] | None = None,
        health: Sequence[str] = ("python", "-m", "shop.health"),
        service: Mapping[str, Any] | None = None,
        fleet: Mapping[str, Any] | None = None,
        more: str = "",
    ) -> None:
        """Writes the configuration: an OCI layout, no base, a commit per bump, no cooldown, and no advisories.

        A host is its address, or all that is said of it.
        """
        tables = {
            "toplayer": {"state": f"{self.root}/state", "look": "1s", **(service or {})},
            "apps.shop": {
                "repository": f"{self.origin.directory}",
                "lock": "requirements.txt",
                "propose": "commit",
                "fleet": "field",
                "policy": {"cooldown": "0s"},
                **(app or {}),
            },
            "apps.shop.image": {
                "repository": f"oci:{self.root}/images",
                "python": PYTHON,
                "libc": "manylinux_2_36",
                "interpreter": f"{sys.base_prefix}/bin/python{PYTHON}",
                "command": ["python", "-m", "shop.worker"],
                **(image or {}),
            },
            "apps.shop.run": {**(run or {}), "health": {"command": list(health), "within": "20s", "steady": "1s"}},
            "advisories": {},
            "fleets.field": {"waves": [1, "100%"], **(fleet or {})},
        }
        if self.index_url:
            tables["indexes.pypi"] = {"kind": "pypi", "url": self.index_url, "private": True}
        text = "".join(f"[{name}]\n{rows_of(rows)}\n" for name, rows in tables.items())
        for name, host in hosts.items():
            known = {"address": host} if isinstance(host, str) else host
            text += f"[[fleets.field.hosts]]\n{rows_of({'name': name, **known})}\n"
        self.config.write_text(text + more)

    def on_engines(self, repository: str) -> dict[str, Any]:
        """What `configure` needs for Docker engines without networks: a base with a Python, and a registry."""
        image = {"repository": repository, "base": base_image().address, "interpreter": "/usr/local/bin/python3"}
        return {"image": image, "run": {"network": "none", "stop_grace": "3s"}}

    def command(self, *words: str) -> list[str]:
        """The command line of `toplayer`, as a person would type it."""
        program = (
            ["-c", f"{self.prelude}\nfrom workers.main import main\nmain()"] if self.prelude else ["-m", "workers.main"]
        )
        return [sys.executable, *program, "--config", str(self.config), *words]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT), **self.env}

    def toplayer(self, *words: str, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Runs it to its end; the exit code has to be the expected one."""
        env, argv = self.environment, self.command(*words)
        if self.prelude:
            ran = subprocess.run(argv, env=env, cwd=self.root, capture_output=True, text=True, timeout=300)
        else:
            ran = forks.run(argv[argv.index("--config") :], env, self.root, 300)
        assert expect is None or ran.returncode == expect, f"{words}: {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
        assert "Traceback" not in ran.stdout + ran.stderr
        return ran

    def json(self, *words: str, expect: int | None = 0) -> Any:
        """What it prints with --json."""
        return json.loads(self.toplayer(*words, "--json", expect=expect).stdout)


@contextlib.contextmanager
def started(world: World, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """One process of the service. It has to live until it is told to end, and then to end by itself, with 0."""
    log = world.root / f"{words[0]}-{time.monotonic_ns()}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            world.command(*words), env=world.environment, cwd=world.root, stdout=out, stderr=out, start_new_session=True
        )
    try:
        yield process
        assert process.poll() is None, f"{words} died:\n{log.read_text()[-3000:]}"
        process.send_signal(signal.SIGTERM)
        ended, said = process.wait(30), log.read_text()
        # One that is told to end before it has said a word is not up yet: the signal itself ends it.
        assert ended == 0 or (ended == -signal.SIGTERM and not said), f"{words} ended badly, {ended}:\n{said[-3000:]}"
        assert "Traceback" not in said, said[max(said.index("Traceback") - 2000, 0) :][:6000]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def make_world(root: Path, files: Mapping[str, str], index_url: str = "") -> World:
    """A world whose app has these files at its first commit, besides the sample's own."""
    root.mkdir(parents=True, exist_ok=True)
    origin = Origin(root / "shop.git")
    origin.write({**APP, **files}, "The shop")
    return World(root, origin, index_url)


def rows_of(rows: Mapping[str, Any]) -> str:
    """The rows of a table, as TOML."""
    return "".join(f"{key} = {_toml(value)}\n" for key, value in rows.items())


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)
