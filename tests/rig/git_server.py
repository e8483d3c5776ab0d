"""A repository that people work on, and hosts for it on loopback: git's own `http-backend` with bad days, and sshd."""

import base64
import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import cast
from urllib.parse import unquote, urlsplit

from tests.rig.loopback import Handler, Loopback
from tests.rig.process import free_port, listens, need, server


class Origin:
    """A bare repository, with the hands of a person in it."""

    def __init__(self, directory: Path, branch: str = "main") -> None:
        self.directory = directory
        directory.mkdir(parents=True)
        self.git("init", "--quiet", "--bare", f"--initial-branch={branch}")

    def git(self, *words: str, input: bytes = b"", env: Mapping[str, str] | None = None) -> str:
        """What git says to a person who works right in the repository."""
        who = {f"GIT_{role}_{key}": f"{key.lower()}@person.example" for role in _ROLES for key in ("NAME", "EMAIL")}
        clean = (
            {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
            | who
            | dict(env or {})
        )
        argv = ["git", f"--git-dir={self.directory}", *words]
        return subprocess.run(argv, input=input, env=clean, check=True, capture_output=True).stdout.decode().strip()

    def write(self, files: Mapping[str, str | bytes | None], message: str = "Work", branch: str = "main") -> str:
        """Commits files (None: without that one) on top of the branch, or on a new one; the commit's id."""
        parent = self.tip(branch)
        index = {"GIT_INDEX_FILE": str(self.directory / "index-of-a-person")}
        self.git("read-tree", parent or "--empty", env=index)
        for path, content in files.items():
            if content is None:
                self.git("rm", "--cached", "--quiet", path, env=index)
                continue
            raw = content.encode() if isinstance(content, str) else content
            blob = self.git("hash-object", "-w", "--stdin", input=raw)
            self.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=index)
        tree = self.git("write-tree", env=index)
        commit = self.git("commit-tree", tree, *(("-p", parent) if parent else ()), "-m", message)
        self.git("update-ref", f"refs/heads/{branch}", commit)
        return commit

    def tip(self, branch: str = "main") -> str:
        """The id of the branch's tip, or an empty text."""
        return self.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")

    def log(self, branch: str = "main") -> list[str]:
        """The subjects of the branch's commits, newest first."""
        return self.git("log", "--format=%s", branch).splitlines()

    def text(self, path: str, branch: str = "main") -> str:
        """A file at the branch's tip, byte for byte."""
        return subprocess.run(
            ["git", f"--git-dir={self.directory}", "cat-file", "blob", f"{branch}:{path}"],
            check=True,
            capture_output=True,
        ).stdout.decode()

    def hook(self, name: str, script: str) -> Path:
        """Installs a hook, a shell script without its first line; its file."""
        hook = self.directory / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\n{script}\n")
        hook.chmod(0o755)
        return hook


_ROLES = ("AUTHOR", "COMMITTER")


@dataclass
class GitHost:
    """Serves every repository under `root` over HTTP, to `users` only (nobody: to everybody).

    `answers` are statuses that it gives to the next requests instead of serving them (0: it does serve), `elsewhere` an
    address that it redirects every request to. `requests`, `credentials` and `sent` are what it saw: method and path,
    user name and password, and the number of bytes that it answered; `commands` are the command lines of everything
    that ran on the machine during its requests. While `open` is not set, requests wait.
    """

    root: Path
    users: dict[str, str] = field(default_factory=dict)
    answers: list[int] = field(default_factory=list)
    elsewhere: str = ""
    requests: list[str] = field(default_factory=list)
    credentials: list[str] = field(default_factory=list)
    commands: set[str] = field(default_factory=set)
    sent: int = 0
    url: str = ""
    open: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def git_host(root: Path, users: dict[str, str] | None = None) -> Iterator[GitHost]:
    """A host for the repositories under `root`, until the block ends."""
    host = GitHost(root, users or {})
    host.open.set()
    with Loopback(_Handler, host) as http:
        host.url = http.url
        try:
            yield host
        finally:
            host.open.set()


@contextlib.contextmanager
def ssh_host(directory: Path) -> Iterator[tuple[int, Path]]:
    """An sshd for whoever runs the tests: its port on loopback, and the private key that it lets in."""
    need("sshd", "ssh-keygen")
    directory.mkdir()
    for name in ("host", "person"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)], check=True)
    port = free_port()
    config = directory / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {directory}/host\nAuthorizedKeysFile {directory}/person.pub\n"
        f"PidFile {directory}/pid\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    argv = [cast(str, shutil.which("sshd")), "-D", "-e", "-f", str(config)]
    with server(argv, directory / "log", lambda: listens(port)):
        yield port, directory / "person"


def _command_lines() -> Iterator[str]:
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield file.read_bytes().replace(b"\0", b" ").decode(errors="replace")


class _Handler(Handler):
    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        host: GitHost = self.server.owner
        body = self._body()
        host.requests.append(f"{self.command} {urlsplit(self.path).path}")
        host.commands.update(_command_lines())
        assert host.open.wait(60)
        user = self._user(host)
        if host.elsewhere:
            return self._say(HTTPStatus.FOUND, {"Location": host.elsewhere + self.path})
        if host.answers and (status := host.answers.pop(0)):
            return self._say(status, {"Retry-After": "7"})
        if host.users and not user:
            return self._say(HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": 'Basic realm="git"'})
        return self._run(host, user, body)

    def _user(self, host: GitHost) -> str:
        kind, _, text = self.headers.get("Authorization", "").partition(" ")
        if kind != "Basic":
            return "" if host.users else "anybody"
        said = base64.b64decode(text).decode()
        host.credentials.append(said)
        name, _, password = said.partition(":")
        return name if host.users.get(name, password) == password and (name in host.users or not host.users) else ""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = bytearray()
        while size := int(self.rfile.readline(), 16):
            chunks += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return bytes(chunks)

    def _run(self, host: GitHost, user: str, body: bytes) -> None:
        url = urlsplit(self.path)
        env = {
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_PROJECT_ROOT": str(host.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "PATH_INFO": unquote(url.path),
            "QUERY_STRING": url.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_USER": user,
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True)
        head, _, answer = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
        status = int(fields.pop("Status", "200").split()[0])
        self._say(status, fields, answer)

    def _say(self, status: int, fields: dict[str, str], answer: bytes = b"") -> None:
        self.send_response(status)
        for name, text in fields.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        self.server.owner.sent += len(answer)
