"""Composer, installing: no plugins, no scripts, no configuration but the project's, no secret but the indexes'.

So nothing of the packages is run here: they are downloaded, checked against what the lock says of them, and unpacked.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from watcher.errors import IndexRefused, IndexUnreachable
from watcher.inert import inert
from watcher.settings import IndexSettings
from workers.process import ToolFailed, environment, run

DEADLINE = timedelta(minutes=10)
INSTALL = (
    *("install", "--no-dev", "--no-scripts", "--no-plugins"),
    *("--no-progress", "--no-interaction", "--no-ansi"),
)
_TRANSPORT = 100
_URL = re.compile(r"https?://[^\s\"')]+")
_LOST = re.compile(
    r"could not be (fully )?(loaded|downloaded)|curl error|[Ff]ailed to open stream|Could not resolve host"
)
_KEPT_OUT = re.compile(r"\b40[13]\b|[Ii]nvalid credentials|Could not authenticate")


@dataclass(frozen=True, slots=True)
class Composer:
    """Composer with the keys to these indexes. What it downloads is kept in `cache`, or forgotten without one."""

    indexes: tuple[IndexSettings, ...] = ()
    cache: Path | None = None

    def install(self, directory: Path, home: Path, suffix: str) -> None:
        """Installs what the `composer.lock` in a directory says, with `home` (empty) as its own directory.

        `suffix` ends the names of the autoloader's own classes, unless the project has one: before version 2.7 Composer
        would roll dice for it.

        Raises `ToolFailed` with Composer's words, `ToolTimedOut`, and `IndexUnreachable` or `IndexRefused` where a
        server is the reason.
        """
        plain = any((one.url or "").startswith("http:") for one in self.indexes)
        config = {"autoloader-suffix": suffix, **({"secure-http": False} if plain else {})}
        (home / "config.json").write_text(json.dumps({"config": config}))
        auth, secrets = self._auth()
        env = environment(
            home,
            COMPOSER_HOME=str(home),
            COMPOSER_CACHE_DIR=str(self.cache or home / "cache"),
            COMPOSER_AUTH=auth,
            COMPOSER_MEMORY_LIMIT="-1",  # the limit is ours, on the process
            COMPOSER_ALLOW_SUPERUSER="1",
            COMPOSER_HTACCESS_PROTECT="0",
            COMPOSER_DISABLE_XDEBUG_WARN="1",
            GIT_TERMINAL_PROMPT="0",
            GIT_CONFIG_NOSYSTEM="1",
            GIT_ALLOW_PROTOCOL="http:https:ssh:file",
            # The directory is no checkout: what it lies in says nothing about the project's version.
            GIT_CEILING_DIRECTORIES=str(directory.parent),
        )
        try:
            run(["composer", *INSTALL], cwd=directory, env=env, deadline=DEADLINE, secrets=secrets)
        except ToolFailed as error:
            url = _URL.search(error.said)
            where = inert(url[0]) if url else "a server that it needs"
            if _KEPT_OUT.search(error.said) and url:
                raise IndexRefused(where, words(error.said)) from None
            if error.code == _TRANSPORT or _LOST.search(error.said):
                raise IndexUnreachable(where, words(error.said)) from None
            raise

    def _auth(self) -> tuple[str, Sequence[str]]:
        """Composer's `auth.json`, and the secrets in it."""
        found: dict[str, dict[str, object]] = {}
        secrets: list[str] = []
        for index in self.indexes:
            if index.url is None or index.password is None or index.kind != "packagist":
                continue
            try:
                secret = index.password.reveal()
            except LookupError as error:
                raise IndexRefused(index.url, str(error.args[0])) from error
            basic = {"username": index.username, "password": secret}
            kind = "http-basic" if index.auth == "basic" else index.auth
            found.setdefault(kind, {})[urlsplit(index.url).netloc] = basic if index.auth == "basic" else secret
            secrets.append(secret)
        return json.dumps(found), secrets


def words(said: str) -> str:
    """What Composer says is wrong, on one line: without what it tells on the way."""
    said = said.partition("To enable extensions, verify")[0]
    problems = re.findall(r"(?m)^ {4,}- (.*)$", said)
    rest = re.sub(
        r"(?m)^(Installing dependencies|Verifying|Package operations|  - |In \S+ line|install \[).*$", "", said
    )
    return inert("; ".join(dict.fromkeys(problems)) or " ".join(rest.split()), 800) or "it did not say why"
