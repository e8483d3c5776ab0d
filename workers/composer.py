"""Composer: no plugins, no scripts, no configuration but the project's, no secret but the indexes'.

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
_ADVICE = re.compile(
    r"\n\s*(?:Use the option|Running update with|Installation failed|You can also try|To enable extensions, verify)"
)
_ON_THE_WAY = re.compile(
    r"(?m)^(?:Loading|Updating|Lock file|Your requirements|Installing dependencies|Verifying|Package operations|  - "
    r"|In \S+ line|install \[|Running \d|Reading |Loading config|Failed to initialize|Dependency resolution completed"
    r"|Analyzed \d|Resolving dependencies|Pool optimizer|Found \d).*$"
)


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
        (home / "config.json").write_text(
            json.dumps({"config": {"autoloader-suffix": suffix, **configuration(self.indexes)}})
        )
        more = {
            "COMPOSER_DISABLE_XDEBUG_WARN": "1",
            "GIT_ALLOW_PROTOCOL": "http:https:ssh:file",
            # The directory is no checkout: what it lies in says nothing about the project's version.
            "GIT_CEILING_DIRECTORIES": str(directory.parent),
        }
        env = surroundings(home, self.indexes, self.cache or home / "cache") | more
        try:
            run(["composer", *INSTALL], cwd=directory, env=env, deadline=DEADLINE, secrets=secrets_of(self.indexes))
        except ToolFailed as error:
            raise of_server(error) or error from None


def configuration(indexes: Sequence[IndexSettings]) -> dict[str, object]:
    """What has to stand under `config`, where nobody else would say it: that an index may be asked plainly."""
    return {"secure-http": False} if any((one.url or "").startswith("http:") for one in indexes) else {}


def surroundings(home: Path, indexes: Sequence[IndexSettings], cache: Path) -> dict[str, str]:
    """Composer's whole environment, with the keys to the indexes. Raises `IndexRefused` for one that is not there."""
    auth: dict[str, dict[str, object]] = {}
    for index, url, secret in _keys(indexes):
        basic = {"username": index.username, "password": secret}
        kind = "http-basic" if index.auth == "basic" else index.auth
        auth.setdefault(kind, {})[urlsplit(url).netloc] = basic if index.auth == "basic" else secret
    return environment(
        home,
        COMPOSER_HOME=str(home),
        COMPOSER_CACHE_DIR=str(cache),
        # A project may name other places for these: it would write there, and delete what it takes to be old.
        COMPOSER_CACHE_FILES_DIR=str(cache / "files"),
        COMPOSER_CACHE_REPO_DIR=str(cache / "repo"),
        COMPOSER_CACHE_VCS_DIR=str(cache / "vcs"),
        COMPOSER_DATA_DIR=str(home),
        COMPOSER_AUTH=json.dumps(auth),
        COMPOSER_MEMORY_LIMIT="-1",  # the limit is ours, on the process
        COMPOSER_ALLOW_SUPERUSER="1",
        COMPOSER_HTACCESS_PROTECT="0",
        GIT_TERMINAL_PROMPT="0",
        GIT_CONFIG_NOSYSTEM="1",
        GIT_ALLOW_PROTOCOL="http:https:ssh",
    )


def secrets_of(indexes: Sequence[IndexSettings]) -> tuple[str, ...]:
    """What must not be said by Composer. Raises `IndexRefused` for a secret that is not there."""
    return tuple(secret for _, _, secret in _keys(indexes))


def _keys(indexes: Sequence[IndexSettings]) -> list[tuple[IndexSettings, str, str]]:
    found = []
    for index in indexes:
        if index.url is None or index.password is None or index.kind != "packagist":
            continue
        try:
            found.append((index, index.url, index.password.reveal()))
        except LookupError as error:
            raise IndexRefused(index.url, str(error.args[0])) from error
    return found


def of_server(error: ToolFailed) -> IndexRefused | IndexUnreachable | None:
    """Composer's last words, if a server is the reason for them; else None."""
    url, why = _URL.search(error.said), words(error.said)
    if _KEPT_OUT.search(error.said) and url:
        return IndexRefused(inert(url[0]), why)
    if error.code == _TRANSPORT or _LOST.search(error.said):
        return IndexUnreachable(inert(url[0]) if url else "a server that it needs", why)
    return None


def words(said: str) -> str:
    """The reasons in Composer's words, on one line: without what it tells on the way, and without advice."""
    text = _ADVICE.split(said)[0]
    problems = re.findall(r"(?m)^ {4,}- (.*)$", text)
    rest = " ".join(_ON_THE_WAY.sub("", text).split())
    return inert("; ".join(dict.fromkeys(problems)) or rest, 800) or "it did not say why"
