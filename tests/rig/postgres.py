"""A PostgreSQL of our own, on a private port and directory."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.rig.process import free_port, lack, listens, server


def _program(name: str) -> str:
    """Debian keeps the server's programs out of PATH, one directory per version."""
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = shutil.which(name) or (str(debian[-1]) if debian else "")
    if not found:
        lack(f"{name} not installed; `make test` as root installs what the tests need")
    return found


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty database. PostgreSQL refuses to run as root, so then it runs as `nobody`."""
    # Not in pytest's directories: those are private to root, and every pytest that starts makes them so again.
    with tempfile.TemporaryDirectory(prefix="toplayer-postgres-", ignore_cleanup_errors=True) as directory:
        yield from _running(Path(directory))


def _running(directory: Path) -> Iterator[str]:
    data, port, programs = directory / "data", free_port(), [_program("initdb"), _program("postgres")]
    as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    data.mkdir(parents=True)
    if as_user:
        directory.chmod(0o711)
        shutil.chown(data, "nobody", "nogroup")
    made = subprocess.run(
        [*as_user, programs[0], "-D", str(data), "-U", "toplayer", "-A", "trust", "--no-sync", "-E", "UTF8"],
        capture_output=True,
        text=True,
        cwd="/",
    )
    assert made.returncode == 0, made.stderr
    argv = [*as_user, programs[1], "-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-c", "fsync=off", "-k", ""]
    with server(argv, directory / "log", lambda: listens(port), cwd=Path("/")):
        yield f"postgresql://toplayer@127.0.0.1:{port}/postgres"
