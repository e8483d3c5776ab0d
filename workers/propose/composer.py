"""Composer, in a throwaway directory: no plugins, no scripts, no installing, no configuration but the project's, and no
secret but the indexes'.
"""

import contextlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from watcher.address import normal
from watcher.errors import IndexRefused, IndexUnreachable, ToplayerError
from watcher.inert import inert
from watcher.settings import IndexSettings
from workers.process import Ran, ToolFailed, environment
from workers.propose.bench import DEADLINE, Bench, Unsolved, inside, on_disk
from workers.propose.box import Box
from workers.scratch import scratch

UNSOLVABLE = 2
"""Composer's exit code for requirements that no set of packages meets (`Composer\\Installer`)."""
_TRANSPORT = 100
_ALWAYS = (
    *("--no-install", "--no-scripts", "--no-plugins", "--no-autoloader"),
    *("--no-progress", "--no-interaction", "--no-ansi", "--no-audit"),
)
_VERSION = re.compile(r"Composer (?:version )?(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Composer:
    """Composer for one app: its indexes, and in `state` its cache and its copies."""

    state: Path
    indexes: tuple[IndexSettings, ...] = ()
    box: Box | None = None

    @contextlib.contextmanager
    def bench(self, files: Mapping[str, str]) -> Iterator["ComposerBench"]:
        """A throwaway copy of `files` (by their paths in the repository) to work on."""
        with on_disk(self.state), scratch(self.state / "scratch") as root:
            home = root / "home"
            home.mkdir()
            (home / "config.json").write_text(json.dumps(self._configuration(files)))
            secrets = tuple(filter(None, map(_password, self.indexes)))
            box = self.box if self.box is not None and self.box.holds("composer") else None
            cache = box.cache(self.state) if box else self.state
            env = self._environment(home) | {"COMPOSER_CACHE_DIR": str(cache / "composer")}
            bench = ComposerBench(root / "work", env, secrets, box=box, shared=(root, cache) if box else ())
            bench.root.mkdir()
            for path, text in files.items():
                bench.write(path, text)
            yield bench

    def _configuration(self, files: Mapping[str, str]) -> dict[str, object]:
        """What would else be in a person's own configuration: a mirror of Packagist, if the settings name one.

        An index that the project names itself is not meant to take Packagist's place.
        """
        config = {"secure-http": False} if any((one.url or "").startswith("http:") for one in self.indexes) else {}
        url = self.indexes[0].url if self.indexes else None
        if url is None or any(normal(url) in text.replace("\\/", "/") for text in files.values()):
            return {"config": config}
        return {"config": config, "repositories": {"packagist.org": {"type": "composer", "url": url}}}

    def _environment(self, home: Path) -> dict[str, str]:
        known = [(urlsplit(one.url or "").netloc, one.username, _password(one)) for one in self.indexes]
        auth = {host: {"username": user, "password": word} for host, user, word in known if host and word}
        return environment(
            home,
            COMPOSER_HOME=str(home),
            COMPOSER_AUTH=json.dumps({"http-basic": auth}),
            # It would else look for the root package's version with git, hg, fossil and svn.
            COMPOSER_ROOT_VERSION="1.0.0",
            # The limit is ours, on the process.
            COMPOSER_MEMORY_LIMIT="-1",
            COMPOSER_ALLOW_SUPERUSER="1",
            COMPOSER_HTACCESS_PROTECT="0",
            # An advisory on another package is no reason not to move this one. What is malware stays blocked.
            COMPOSER_NO_SECURITY_BLOCKING="1",
            COMPOSER_POLICY_ADVISORIES_BLOCK="0",
            GIT_TERMINAL_PROMPT="0",
            GIT_CONFIG_NOSYSTEM="1",
            GIT_ALLOW_PROTOCOL="http:https:ssh",
        )


@dataclass(frozen=True, slots=True)
class ComposerBench(Bench):
    """A throwaway directory, and Composer in it: in a `box` if there is one, which has the directories `shared`."""

    box: Box | None = None
    shared: tuple[Path, ...] = ()

    def composer(self, words: Sequence[str], directory: str, accept: Sequence[int] = (0,)) -> Ran:
        """Runs `composer words…`. Raises `Unsolved`, `IndexRefused`, `IndexUnreachable` and `ToolTimedOut`."""
        argv = ["composer", *words]
        try:
            if self.box is None:
                return self.run(argv, directory, accept=accept)
            return self.box.run(
                argv,
                cwd=self.root / inside(directory),
                env=self.env,
                shared=self.shared,
                deadline=DEADLINE,
                accept=accept,
                secrets=self.secrets,
            )
        except ToolFailed as error:
            raise translated(error) from None

    def update(self, words: Sequence[str], directory: str) -> str:
        """`composer update`, for the lock alone: nothing if it went well, else why there is no such lock."""
        # Extensions and libraries are the image's affair: those of this machine say nothing about it.
        ignored = () if self.box else ("--ignore-platform-req=ext-*", "--ignore-platform-req=lib-*")
        ran = self.composer(["update", *words, *_ALWAYS, *ignored], directory, accept=(0, UNSOLVABLE))
        return "" if ran.code == 0 else (ran.stderr + ran.stdout).decode("utf-8", "replace")

    def version(self) -> tuple[int, int]:
        """Composer's own: major and minor."""
        said = self.composer(["--version", "--no-ansi", "--no-plugins"], "").stdout.decode("utf-8", "replace")
        found = _VERSION.search(said)
        return (int(found[1]), int(found[2])) if found else (0, 0)


def translated(error: ToolFailed) -> ToplayerError:
    """Composer's last words, as one of our errors."""
    said, why = error.said, words(error.said)
    url = re.search(r"https?://[^\s\"')]+", said)
    if error.code == 127:
        return Unsolved(why, error.hint)
    if re.search(r"\b40[13]\b|[Ii]nvalid credentials|Could not authenticate", said) and url:
        return IndexRefused(inert(url[0]), why)
    if error.code == _TRANSPORT or re.search(r"could not be (fully loaded|downloaded)|curl error|failed to open", said):
        return IndexUnreachable(inert(url[0]) if url else "the index", why)
    return Unsolved(why)


def words(said: str) -> str:
    """The reasons in Composer's words, on one line: without what it tells on the way, and without advice."""
    text = re.split(r"\n\s*(?:Use the option|Running update with|Installation failed|You can also try)", said)[0]
    problems = re.findall(r"(?m)^\s+- (.*)$", text)
    rest = " ".join(re.sub(r"(?m)^(Loading|Updating|Lock file|Your requirements|In \S+ line).*$", "", text).split())
    return inert("; ".join(dict.fromkeys(problems)) or rest, 800) or "it did not say why"


def _password(index: IndexSettings) -> str:
    try:
        return index.password.reveal() if index.url and index.password else ""
    except LookupError as error:
        raise IndexRefused(index.url or "", str(error)) from None
