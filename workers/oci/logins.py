"""What `docker login` has left for this user: names and passwords, or programs that keep them.

The file: https://docs.docker.com/reference/cli/docker/#configuration-files, and the programs' protocol:
https://github.com/docker/docker-credential-helpers#development.
"""

import json
import os
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from workers.oci.keys import Keys
from workers.oci.store import StoreRefused, StoreUnreachable
from workers.process import ToolFailed, ToolTimedOut, environment, run

_HUB = dict.fromkeys(("docker.io", "index.docker.io", "registry-1.docker.io"), "https://index.docker.io/v1/")
_DEADLINE = timedelta(seconds=30)
_HINT = "name `username` and `password` under registries in the configuration, or log in again: `docker login`"

_KNOWS_NOTHING = 1
"""How helpers end that have no login for a server, each in words of its own."""

Helper = Callable[[str, str], bytes]
"""Asks the program of this name for the login of a server: what it says on standard output."""


def login(host: str, home: Path | None = None, helper: Helper | None = None) -> Keys:
    """The keys for a registry, or none; from the directory `home`, else DOCKER_CONFIG, else `~/.docker`.

    A `StoreRefused` if there are some that cannot be used.
    """
    directory = home or Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        table = json.loads((directory / "config.json").read_bytes())
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return Keys()
    except (ValueError, OSError, RecursionError) as error:
        raise StoreRefused(host, f"{directory}/config.json cannot be read: {error}", _HINT) from error
    server = server_of(host)
    table = table if isinstance(table, dict) else {}
    program = _table(table, "credHelpers").get(host) or table.get("credsStore")
    if isinstance(program, str) and program:
        return _kept(host, server, program, helper or _ask)
    auths = _table(table, "auths")
    row: Any = next(
        (auths[name] for name in (server, host, f"https://{host}", f"https://{host}/v2/") if name in auths), {}
    )
    return _written(host, row if isinstance(row, dict) else {})


def server_of(host: str) -> str:
    """What Docker's configuration calls a registry."""
    return _HUB.get(host, host)


def _table(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _written(host: str, row: Mapping[str, Any]) -> Keys:
    if not row.get("auth"):
        return Keys()
    try:
        username, _, password = b64decode(str(row["auth"]), validate=True).decode().partition(":")
    except ValueError:
        raise StoreRefused(host, "Docker's configuration has a login that cannot be read", _HINT) from None
    return Keys(username, password.rstrip("\0"))


def _kept(host: str, server: str, program: str, helper: Helper) -> Keys:
    if not re.fullmatch(r"[A-Za-z0-9._-]+", program):
        raise StoreRefused(host, f"Docker's configuration names the credential helper {program!r}", _HINT)
    try:
        said = helper(program, server)
    except ToolTimedOut as error:
        raise StoreUnreachable(host, str(error)) from error
    except ToolFailed as error:
        if error.code == _KNOWS_NOTHING:
            return Keys()
        raise StoreRefused(host, str(error), _HINT) from error
    try:
        found = json.loads(said)
        username, password = str(found["Username"]), str(found["Secret"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreRefused(host, f"docker-credential-{program} does not answer with a login", _HINT) from error
    if username == "<token>":
        raise StoreRefused(host, f"docker-credential-{program} has an identity token, and no password", _HINT)
    return Keys(username, password)


def _ask(program: str, server: str) -> bytes:
    """It needs the real home of the user: there, or in the session behind it, is what it keeps."""
    argv = [f"docker-credential-{program}", "get"]
    return run(argv, cwd=None, env=environment(Path.home()), deadline=_DEADLINE, input=server.encode()).stdout
