"""Servers of our own: started on private ports and directories, waited for, and ended by their process ids."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

ON_CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")


def need(*programs: str) -> None:
    """Skips the test where a program is missing; under CI=true a missing program is a failure."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        lack(f"{', '.join(missing)} not installed; `make test` as root installs what the tests need")


def need_root() -> None:
    """Skips the test for anybody but root; under CI=true that is a failure."""
    if os.geteuid() != 0:
        lack("needs root: it starts Docker engines of its own")


def lack(what: str) -> None:
    """The one place where a test may give up for lack of something real."""
    if ON_CI:
        pytest.fail(what)
    pytest.skip(what)


def free_port() -> int:
    """A TCP port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(ready: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Asks `ready` until it says yes. An `AssertionError` names `what` did not happen in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            if ready():
                return
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen within {seconds} s")


def listens(port: int, address: str = "127.0.0.1") -> bool:
    """Whether somebody accepts connections there."""
    with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def server(
    argv: Sequence[str],
    log: Path,
    ready: Callable[[], bool],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stop_within: float = 20.0,
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a server until the block ends. Its output goes to `log`, which an early death quotes."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            list(argv), stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, cwd=cwd, start_new_session=True
        )
    try:

        def up() -> bool:
            if process.poll() is not None:
                said = log.read_text(errors="replace")[-2000:]
                pytest.fail(f"{argv[0]} ended with {process.returncode} before it was ready:\n{said}")
            return ready()

        wait_for(up, f"{argv[0]} to be ready", 60.0)
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(stop_within)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
