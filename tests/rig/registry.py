"""A real registry (Debian's `docker-registry`) of our own, and what it saw."""

import contextlib
import json
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.rig.process import free_port, need, server
from watcher.secret import Secret
from watcher.settings import RegistrySettings

USERNAME, PASSWORD = "toplayer", "correct horse"
# bcrypt of PASSWORD, the one hash that docker-registry takes.
_HTPASSWD = f"{USERNAME}:$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request, as the access log has it. `written` is the size of the answer's body in bytes."""

    method: str
    uri: str
    status: int
    written: int
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """A registry at `address` (`host:port`), and the settings to speak to it. `ca` is set if it speaks TLS."""

    address: str
    settings: RegistrySettings
    ca: Path | None
    directory: Path
    _from: int = field(default=0, repr=False)

    def seen(self) -> list[Seen]:
        """Every request so far, in the order in which they were answered."""
        found = []
        for line in (self.directory / "log").read_text(errors="replace").splitlines():
            row = json.loads(line) if line.startswith("{") else {}
            if "http.response.status" in row:
                found.append(
                    Seen(
                        method=row["http.request.method"],
                        uri=row["http.request.uri"],
                        status=row["http.response.status"],
                        written=row.get("http.response.written", 0),
                        agent=row.get("http.request.useragent", ""),
                    )
                )
        return found

    def pulled(self) -> int:
        """Bytes of blobs and manifests that left the registry so far."""
        rows = [row for row in self.seen() if row.method == "GET" and row.status in (200, 206)]
        return sum(row.written for row in rows if "/blobs/" in row.uri or "/manifests/" in row.uri)

    def uploads(self) -> list[str]:
        """The blobs (`sha256:…`) that were uploaded so far."""
        finished = [
            row.uri for row in self.seen() if row.method == "PUT" and row.status == 201 and "digest=" in row.uri
        ]
        return [uri.partition("digest=")[2].replace("%3A", ":") for uri in finished]


@contextlib.contextmanager
def registry(
    directory: Path,
    *,
    auth: bool = False,
    tls: bool = False,
    listen: str = "127.0.0.1",
    within: Sequence[str] = (),
) -> Iterator[Registry]:
    """Runs a registry on a free port. `auth`: it wants USERNAME and PASSWORD; `tls`: it has a certificate of `ca`.

    `listen` is the address that it binds to, `within` a command that it is started by (`nsenter --net=…`).
    """
    need("docker-registry", *(["openssl"] if tls else []))
    directory.mkdir(parents=True, exist_ok=True)
    address, ca = f"{listen}:{free_port()}", directory / "ca.pem" if tls else None
    if tls:
        certificates(directory, listen)
    (directory / "htpasswd").write_text(_HTPASSWD)
    (directory / "password").write_text(PASSWORD)
    (directory / "config.json").write_text(json.dumps(_configuration(directory, address, auth=auth, tls=tls)))
    argv = [*within, "docker-registry", "serve", str(directory / "config.json")]
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "OTEL_TRACES_EXPORTER": "none"}
    settings = RegistrySettings(
        username=USERNAME if auth else "",
        password=Secret(file=str(directory / "password")) if auth else None,
        ca=str(ca) if ca else None,
        plain_http=not tls,
    )
    with server(argv, directory / "log", lambda: bool(within) or _answers(address, ca), env=env):
        yield Registry(address=address, settings=settings, ca=ca, directory=directory)


def certificates(directory: Path, address: str) -> None:
    """Writes `ca.pem`, and `cert.pem` with `key.pem` for a server at `address` (an IP address)."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]
    ca = ["-subj", "/CN=ca", "-keyout", "ca-key.pem", "-out", "ca.pem", "-addext", "keyUsage=critical,keyCertSign"]
    signed = ["-CA", "ca.pem", "-CAkey", "ca-key.pem", "-addext", f"subjectAltName=IP:{address},DNS:localhost"]
    leaf = ["-subj", "/CN=registry", "-keyout", "key.pem", "-out", "cert.pem", "-addext", "basicConstraints=CA:FALSE"]
    for argv in ([*key, *ca], [*key, *leaf, *signed]):
        subprocess.run(["openssl", "req", "-x509", *argv], cwd=directory, check=True, capture_output=True)


def _configuration(directory: Path, address: str, *, auth: bool, tls: bool) -> dict[str, object]:
    # YAML is a superset of JSON.
    http: dict[str, object] = {"addr": address, "secret": "of the tests", "relativeurls": True}
    if tls:
        http["tls"] = {"certificate": str(directory / "cert.pem"), "key": str(directory / "key.pem")}
    table: dict[str, object] = {
        "version": "0.1",
        "log": {"level": "info", "formatter": "json", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(directory / "data")},
            "delete": {"enabled": True},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        "http": http,
    }
    if auth:
        table["auth"] = {"htpasswd": {"realm": "tests", "path": str(directory / "htpasswd")}}
    return table


def _answers(address: str, ca: Path | None) -> bool:
    context = ssl.create_default_context(cafile=ca) if ca else None
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with direct.open(f"http{'s' if ca else ''}://{address}/v2/", timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
