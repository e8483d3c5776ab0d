"""How to reach a remote repository: an address that may be seen, and secrets that travel in the environment only."""

import base64
import os
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from watcher.inert import inert
from watcher.settings import GitSettings
from workers.git.errors import GitRefused

PROTOCOLS = "file:http:https:ssh"
"""What git may speak. `ext::` would run commands, and `git://` cannot tell who it is talking to."""

# Git runs this text in a shell and reads the answer. It is constant: the values come from the environment, so that no
# argument list and no file ever holds them. It is bound to one host, so a redirect to another gets nothing.
_HELPER = (
    '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" "$TOPLAYER_GIT_USERNAME" "$TOPLAYER_GIT_PASSWORD";'
    " }; f"
)
_SSH_OPTIONS = ("BatchMode=yes", "StrictHostKeyChecking=accept-new", "ConnectTimeout=20", "ServerAliveInterval=20")


Login = Callable[[], tuple[str, str]]
"""Gives a user name and a password that are good for the next hour. Raises what is to be told if it has none."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A remote as one git command needs it: `url` for its arguments, `where` for people, the rest to reach it by."""

    url: str
    where: str
    options: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def without_secrets(self, said: bytes) -> str:
        """What was said, fit to be shown."""
        text = said.decode("utf-8", "replace")
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def remote(url: str, git: GitSettings, state: Path, login: Login | None = None) -> Remote:
    """The remote at `url` (a path, or a file, http, https or ssh address, or `user@host:path`).

    Secrets are read now; `login` is asked if the settings name none for an http(s) address. Keys of ssh hosts that were
    never met are kept in `state` (`known_hosts`), and refused when they change. A `GitRefused` says what is wrong with
    the address or with the secret.
    """
    where = shown(url)
    if not _is_allowed(url):
        raise GitRefused(where, f"expected a path or an address ({PROTOCOLS.replace(':', ', ')}), got {where!r}")
    if url.startswith(("http://", "https://")):
        return _http(url, git, where, login)
    if url.startswith(("/", ".", "file://")):
        return Remote(url, where)
    return Remote(url, where, env=_ssh(git, state))


def _is_allowed(url: str) -> bool:
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)(::|://)", url)
    if scheme:
        return scheme[2] == "://" and scheme[1] in PROTOCOLS.split(":")
    return not url.startswith("-") and "\0" not in url and "\n" not in url


def shown(url: str) -> str:
    """The address for people: without user name and password, since a token may stand in either place."""
    parts = urlsplit(url) if "://" in url else None
    if parts is None or "@" not in parts.netloc:
        return inert(url)
    return inert(urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])))


def _http(url: str, git: GitSettings, where: str, login: Login | None) -> Remote:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    bare = urlunsplit(parts._replace(netloc=host))
    try:
        password = git.password.reveal() if git.password else ""
    except LookupError as error:
        raise GitRefused(where, f"its password cannot be read: {error}", "see apps.*.git.password") from None
    username = unquote(parts.username or "") or git.username
    if git.password is None and not parts.username and login is not None:
        username, password = login()
    env = {"GIT_SSL_CAINFO": ca} if (ca := _authorities()) else {}
    if not password and not parts.username:
        return Remote(bare, where, env=env)
    options = ("-c", f"credential.{parts.scheme}://{host}.helper={_HELPER}")
    env |= {"TOPLAYER_GIT_USERNAME": username, "TOPLAYER_GIT_PASSWORD": password}
    return Remote(bare, where, options, env, _spellings(username if parts.username else "", username, password))


def _authorities() -> str:
    """Debian's git speaks TLS with GnuTLS, which does not know the variable that everybody else reads."""
    return os.environ.get("GIT_SSL_CAINFO") or os.environ.get("SSL_CERT_FILE") or ""


def _spellings(token: str, username: str, password: str) -> tuple[str, ...]:
    """Every form in which a server could throw a secret back at us."""
    basic = base64.b64encode(f"{username}:{password}".encode()).decode()
    return tuple(text for text in (basic, password, quote(password, safe=""), token, quote(token, safe="")) if text)


def _ssh(git: GitSettings, state: Path) -> dict[str, str]:
    known = f'UserKnownHostsFile="{state / "known_hosts"}" ~/.ssh/known_hosts'
    words = ["ssh", *(word for option in (*_SSH_OPTIONS, known) for word in ("-o", option))]
    if git.ssh_key:
        words += ["-o", "IdentitiesOnly=yes", "-i", git.ssh_key]
    env = {"GIT_SSH_COMMAND": shlex.join(words), "GIT_SSH_VARIANT": "ssh"}
    agent = os.environ.get("SSH_AUTH_SOCK", "")
    return env if git.ssh_key or not agent else env | {"SSH_AUTH_SOCK": agent}
