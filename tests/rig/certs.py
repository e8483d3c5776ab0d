"""Certificates of our own: an authority, a server, and a client that it knows."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.rig.process import need


@dataclass(frozen=True)
class Certs:
    """Files in PEM form. `cert` and `key` are the client's."""

    ca: Path
    server_cert: Path
    server_key: Path
    cert: Path
    key: Path


def make_certs(directory: Path, *addresses: str) -> Certs:
    """New ones, for localhost, 127.0.0.1 and these addresses, in a fraction of a second."""
    need("openssl")
    directory.mkdir(parents=True, exist_ok=True)
    _request(directory, "ca", "keyUsage=critical,keyCertSign")
    for name, usage in (("server", "serverAuth"), ("client", "clientAuth")):
        known = ",".join(f"IP:{address}" for address in ("127.0.0.1", *addresses))
        names = [f"subjectAltName=DNS:localhost,{known}"] if name == "server" else []
        _request(directory, name, "basicConstraints=CA:FALSE", f"extendedKeyUsage={usage}", *names, signed=True)
    return Certs(
        ca=directory / "ca.pem",
        server_cert=directory / "server.pem",
        server_key=directory / "server-key.pem",
        cert=directory / "client.pem",
        key=directory / "client-key.pem",
    )


def _request(directory: Path, name: str, *extensions: str, signed: bool = False) -> None:
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    argv += ["-days", "2", "-subj", f"/CN={name}", "-keyout", f"{name}-key.pem", "-out", f"{name}.pem"]
    argv += [word for extension in extensions for word in ("-addext", extension)]
    argv += ["-CA", "ca.pem", "-CAkey", "ca-key.pem"] if signed else []
    done = subprocess.run(argv, cwd=directory, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
