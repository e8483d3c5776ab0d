"""The way to an engine by SSH: a unix socket of ours that OpenSSH forwards to the engine's.

Not docker-py's own `ssh://`: that one needs a Docker client on the far side, has no timeouts, and takes minutes to
notice a link that is dead. Here the engine's socket is spoken to as if it were local, with real timeouts.
"""

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from watcher.fleet import SshSettings
from workers.fleet.host import HostRefused, HostUnreachable
from workers.process import environment

SOCKET = "/var/run/docker.sock"
CONNECT = 10
"""Seconds that a host has to take the connection."""
ALIVE, MISSED = 5, 2
"""A link that says nothing for this many seconds, this many times, is dead."""

_FORWARDS = "does sshd allow it (AllowStreamLocalForwarding and AllowTcpForwarding in sshd_config)"
_REFUSALS = {
    "host key verification failed": "put the host's key into `ssh.known_hosts`: `ssh-keyscan HOST`, and compare it",
    "permission denied": "put our public key into the host's authorized_keys, or name another `ssh.key`",
    "no such identity": "`ssh.key` names a file that is not there",
    "bad permissions": "`chmod 600` the file that `ssh.key` names",
    "identification has changed": "find out why the host's key has changed before anything else",
}


def argv(address: str, near: Path, settings: SshSettings) -> list[str]:
    """The command that forwards the socket `near` to the engine's socket of `ssh://[user@]host[:port][/path]`."""
    parts = urlsplit(address)
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "ConnectTimeout": str(CONNECT),
        "ServerAliveInterval": str(ALIVE),
        "ServerAliveCountMax": str(MISSED),
        "ExitOnForwardFailure": "yes",
        "StreamLocalBindMask": "0177",
        "ControlPath": "none",
    }
    if settings.known_hosts:
        options |= {"UserKnownHostsFile": settings.known_hosts, "GlobalKnownHostsFile": "/dev/null"}
    if settings.key:
        options |= {"IdentityFile": settings.key, "IdentitiesOnly": "yes"}
    return [
        "ssh",
        "-N",
        "-T",
        *(part for name, value in options.items() for part in ("-o", f"{name}={value}")),
        *(["-p", str(parts.port)] if parts.port else []),
        *(["-l", parts.username] if parts.username else []),
        "-L",
        f"{near}:{parts.path or SOCKET}",
        "--",
        str(parts.hostname),
    ]


@contextlib.contextmanager
def tunnel(host: str, address: str, settings: SshSettings) -> Iterator[str]:
    """The `unix://` address of the engine, as long as the block lasts. A host's error if there is no way to it."""
    if shutil.which("ssh") is None:
        raise HostRefused(host, "there is no `ssh` on this machine", "install the OpenSSH client")
    # Not in a long path: the name of a unix socket may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="toplayer-ssh-") as home:
        near, said = Path(home) / "s", Path(home) / "said"
        with said.open("wb") as log:
            process = subprocess.Popen(
                argv(address, near, settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(Path.home()),
            )
        try:
            _await(host, process, near, said)
            yield f"unix://{near}"
        except HostUnreachable as error:
            # Whether the far socket can be opened shows when somebody speaks to it, and then only ssh knows why not.
            path, ended = urlsplit(address).path or SOCKET, process.poll() is not None
            raise _explained(error, _last(said), path, ended) from error
        finally:
            process.terminate()
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _explained(error: HostUnreachable, last: str, path: str, ended: bool) -> HostUnreachable | HostRefused:
    """The error of a connection through the tunnel, with what ssh said last of it, or when it `ended`."""
    if "prohibited" in last:
        return HostRefused(
            error.host, f"its sshd does not forward to {path}: {last}", "let it: AllowStreamLocalForwarding yes"
        )
    if "open failed" in last:
        # It does not say which of these it is, and an engine that is not there may be there in a moment.
        why = f"its sshd could not open {path}: is an engine there, may this user open its socket, and {_FORWARDS}?"
        return HostUnreachable(error.host, why)
    return HostUnreachable(error.host, last) if ended and last else error


def _last(said: Path) -> str:
    words = said.read_text(encoding="utf-8", errors="replace").strip()
    return words.splitlines()[-1] if words else ""


def _await(host: str, process: "subprocess.Popen[bytes]", near: Path, said: Path) -> None:
    """Waits until the socket is there. OpenSSH makes it once it is let in."""
    until = time.monotonic() + 2 * CONNECT
    while not near.exists():
        if process.poll() is not None or time.monotonic() > until:
            last = _last(said) or "no answer"
            words = said.read_text(encoding="utf-8", errors="replace")
            hint = next((hint for sign, hint in _REFUSALS.items() if sign in words.lower()), "")
            raise HostRefused(host, last, hint) if hint else HostUnreachable(host, last)
        time.sleep(0.02)
