"""toplayer's command line in forks of one process that has imported all of it: hundreds of runs import nothing.

A connection is a run. It brings the words, the environment and the directory as JSON, with the descriptors of the two
streams, and takes the exit code away. What one run sets or breaks ends with its process, as it does when a shell
starts it.
"""

import atexit
import functools
import gc
import importlib
import json
import os
import pkgutil
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
_LONGEST = 2**20


def run(words: Sequence[str], env: Mapping[str, str], cwd: Path, timeout: float) -> "subprocess.CompletedProcess[str]":
    """One run to its end, as `subprocess.run` would tell it. `TimeoutError` after `timeout` seconds."""
    with (
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection,
    ):
        connection.settimeout(timeout)
        connection.connect(_server())
        job = {"words": list(words), "env": dict(env), "cwd": str(cwd)}
        socket.send_fds(connection, [json.dumps(job).encode()], [out.fileno(), err.fileno()])
        code = connection.recv(64)
        assert code, f"the fork that ran {words} is gone"
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(list(words), int(code), out.read(), err.read())


@functools.cache
def _server() -> str:
    """The address of this process's server, which ends with it."""
    home = tempfile.mkdtemp(prefix="toplayer-forks-")
    address = f"{home}/socket"
    argv = [sys.executable, "-m", "tests.rig.forks", address]
    server = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    assert server.stdin is not None
    assert server.stdout is not None
    atexit.register(shutil.rmtree, home)
    atexit.register(server.wait)
    atexit.register(server.stdin.close)
    server.stdout.readline()
    return address


def _serve(address: str) -> None:
    for package in (importlib.import_module(name) for name in ("watcher", "workers")):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.startswith(_NOT_OURS):
                importlib.import_module(found.name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(address)
        listening.listen(16)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        gc.freeze()
        os.write(1, b"up\n")
        # Our input ends with whoever started us, however that ends.
        while sys.stdin not in select.select([listening, sys.stdin], [], [])[0]:
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _keep(connection)
            connection.close()


def _keep(connection: socket.socket) -> None:
    """Waits for a run and tells how it ended: a process of its own, because runs may be ended from outside."""
    said, streams, _, _ = socket.recv_fds(connection, _LONGEST, 2)
    child = os.fork()
    if child == 0:
        _run(json.loads(said), *streams)
    _, status = os.waitpid(child, 0)
    connection.send(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _run(job: Mapping[str, object], out: int, err: int) -> None:
    code = 1
    try:
        for descriptor, stream in ((os.open(os.devnull, os.O_RDONLY), 0), (out, 1), (err, 2)):
            os.dup2(descriptor, stream)
        os.chdir(str(job["cwd"]))
        os.environ.clear()
        os.environ.update(job["env"])  # type: ignore[call-overload]
        from watcher.cli.main import run as program
        from workers.hands import Workers

        code = program(Workers(), job["words"])  # type: ignore[arg-type]
    except BaseException:
        traceback.print_exc()
    # Not `os._exit`: threads are waited for, and what is to be done at the end is done, as in any other process.
    sys.exit(code)


_NOT_OURS = ("watcher.migrations.", "workers.propose.stand_in")
"""What runs inside of other programs."""

if __name__ == "__main__":
    _serve(sys.argv[1])
