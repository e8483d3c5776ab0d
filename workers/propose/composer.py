"""Composer, in a throwaway directory: no plugins, no scripts, no installing, no configuration but the project's, and no
secret but the indexes'.
"""

import contextlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from watcher.address import normal
from watcher.errors import ToplayerError
from watcher.settings import IndexSettings
from workers.composer import configuration, of_server, secrets_of, surroundings, words
from workers.process import Ran, ToolFailed
from workers.propose.bench import Bench, Unsolved, away, inside, on_disk
from workers.propose.box import Box
from workers.scratch import scratch

UNSOLVABLE = 2
"""Composer's exit code for requirements that no set of packages meets (`Composer\\Installer`)."""
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
            (root / "tmp").mkdir()
            (home / "config.json").write_text(json.dumps(self._configuration(files)))
            asked = self._asked(files)
            secrets = secrets_of(asked)
            box = self.box if self.box is not None and self.box.may_know(secrets) else None
            box = box if box is not None and box.holds("composer") else None
            cache = box.cache(self.state) if box else self.state
            env = self._environment(home, asked, cache / "composer")
            bench = ComposerBench(root / "work", env, secrets, [cache / "composer"], box=box, cache=cache)
            bench.root.mkdir()
            for path, text in files.items():
                bench.write(path, text)
            yield bench

    def _configuration(self, files: Mapping[str, str]) -> dict[str, object]:
        """What would else be in a person's own configuration: a mirror of Packagist, if the settings name one.

        An index that the project names itself is not meant to take Packagist's place.
        """
        config = configuration(self.indexes)
        url = self.indexes[0].url if self.indexes else None
        if url is None or any(normal(url) in text.replace("\\/", "/") for text in files.values()):
            return {"config": config}
        return {"config": config, "repositories": {"packagist.org": {"type": "composer", "url": url}}}

    def _asked(self, files: Mapping[str, str]) -> tuple[IndexSettings, ...]:
        """The indexes that the project names, and the one that stands in for Packagist: no other keys are needed."""
        said = [text.replace("\\/", "/") for path, text in files.items() if not path.endswith(".lock")]
        return tuple(
            one for one in self.indexes if one is self.indexes[0] or any(normal(one.url or "") in text for text in said)
        )

    def _environment(self, home: Path, indexes: Sequence[IndexSettings], cache: Path) -> dict[str, str]:
        return surroundings(home, indexes, cache) | {
            # It would else look for the root package's version with git, hg, fossil and svn.
            "COMPOSER_ROOT_VERSION": "1.0.0",
            "COMPOSER_VENDOR_DIR": str(home / "vendor"),
            "TMPDIR": str(home.parent / "tmp"),
            # An advisory on another package is no reason not to move this one. What is malware stays blocked.
            "COMPOSER_NO_SECURITY_BLOCKING": "1",
            "COMPOSER_POLICY_ADVISORIES_BLOCK": "0",
        }


@dataclass(frozen=True, slots=True)
class ComposerBench(Bench):
    """A throwaway directory, and Composer in it: in a `box` if there is one, which keeps things in `cache`."""

    box: Box | None = None
    cache: Path = Path()

    def composer(self, words: Sequence[str], directory: str, accept: Sequence[int] = (0,)) -> Ran:
        """Runs `composer words…`. Raises `Unsolved`, `ToolAway`, `IndexRefused`, `IndexUnreachable` and
        `ToolTimedOut`.
        """
        argv = ["composer", *words]
        try:
            if self.box is None:
                return self.run(argv, directory, accept=accept)
            return self.box.run(
                argv,
                root=self.root.parent,
                cwd=self.root / inside(directory),
                env=self.env,
                cache=self.cache,
                deadline=self.left(),
                accept=accept,
                secrets=self.secrets,
            )
        except ToolFailed as error:
            raise translated(error) from None

    def update(self, words: Sequence[str], directory: str) -> str:
        """`composer update`, for the lock alone: nothing if it went well, else why there is no such lock."""
        # Extensions and libraries are the image's affair: those of this machine say nothing about it.
        ignored = () if self.box else ("--ignore-platform-req=ext-*", "--ignore-platform-req=lib-*")
        # With -v it names all versions of what is in the way, and not the first and the last of many.
        ran = self.composer(["update", "-v", *words, *_ALWAYS, *ignored], directory, accept=(0, UNSOLVABLE))
        return "" if ran.code == 0 else (ran.stderr + ran.stdout).decode("utf-8", "replace")

    def version(self) -> tuple[int, int]:
        """Composer's own: major and minor."""
        said = self.composer(["--version", "--no-ansi", "--no-plugins"], "").stdout.decode("utf-8", "replace")
        found = _VERSION.search(said)
        return (int(found[1]), int(found[2])) if found else (0, 0)


def translated(error: ToolFailed) -> ToplayerError:
    """Composer's last words, as one of our errors."""
    return away(error) or of_server(error) or Unsolved(words(error.said))
