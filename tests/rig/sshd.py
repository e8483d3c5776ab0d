"""An SSH server of our own, on loopback or at the end of a link, which lets one key in."""

import contextlib
import getpass
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.rig.engine import Link
from tests.rig.process import free_port, listens, need, need_root, server
from watcher.fleet import SshSettings


@dataclass(frozen=True)
class Sshd:
    """The server at `address` (`ssh://user@host:port`), and the settings that get in."""

    address: str
    settings: SshSettings
    pid: int


@contextlib.contextmanager
def sshd(directory: Path, *more: str, link: Link | None = None) -> Iterator[Sshd]:
    """Runs an sshd until the block ends, with these further lines in its configuration; with a link, at its far end."""
    where = link.far if link else "127.0.0.1"
    need_root()  # anybody else's sshd lets only that user in
    need("ssh", "ssh-keygen", "/usr/sbin/sshd")
    directory.mkdir(parents=True, exist_ok=True)
    Path("/run/sshd").mkdir(exist_ok=True)
    for name in ("hostkey", "id"):
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)]
        subprocess.run(argv, check=True)
    port = free_port()
    config = f"""
        Port {port}
        ListenAddress {where}
        HostKey {directory}/hostkey
        AuthorizedKeysFile {directory}/id.pub
        StrictModes no
        UsePAM no
        PasswordAuthentication no
        PermitRootLogin prohibit-password
        PidFile none
    """
    (directory / "sshd_config").write_text("\n".join(line.strip() for line in (*config.splitlines(), *more)))
    public = (directory / "hostkey.pub").read_text().split()
    (directory / "known_hosts").write_text(f"[{where}]:{port} {public[0]} {public[1]}\n")
    inside = ["nsenter", f"--net=/run/netns/{link.namespace}"] if link else []
    argv = [*inside, "/usr/sbin/sshd", "-D", "-e", "-f", str(directory / "sshd_config")]
    settings = SshSettings(key=str(directory / "id"), known_hosts=str(directory / "known_hosts"))
    with server(argv, directory / "log", lambda: listens(port, where)) as process:
        yield Sshd(f"ssh://{getpass.getuser()}@{where}:{port}", settings, process.pid)
