"""uv, in a throwaway directory: no configuration but the project's, no code of strangers, no secret but the index's.

uv is told to build nothing (`UV_NO_BUILD`). To learn what a source distribution depends on it would have to run its
build script, here, as us; and the images are made of wheels anyway. What cannot be locked so is refused in words.
"""

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import uv

from watcher.errors import IndexRefused, IndexUnreachable, ToplayerError
from watcher.inert import inert
from watcher.settings import IndexSettings
from watcher.wheels import Wheels
from workers.process import ToolFailed, environment
from workers.propose.bench import Bench, Unsolved, on_disk
from workers.propose.errors import InterpreterMissing
from workers.propose.move import Move
from workers.scratch import scratch

BUILDS_NOTHING = "toplayer builds nothing, and"
"""How the stand-in for a project's build backend begins to say why it cannot answer."""

# What `--python-platform` has names for, by the version of glibc. Older ones resolve alike.
_GLIBC = (17, 28, *range(31, 41))


@dataclass(frozen=True, slots=True)
class Uv:
    """uv for one app: its index, its image, and in `state` its cache, its copies and the Pythons that it downloaded."""

    state: Path
    index: IndexSettings
    target: Wheels

    @property
    def for_target(self) -> tuple[str, str]:
        """The options of `uv pip compile` for the image's Python and platform, each with its value behind a `=`."""
        return f"--python-version={self.target.python}", f"--python-platform={_platform(self.target)}"

    @contextlib.contextmanager
    def bench(self, files: Mapping[str, str]) -> Iterator["UvBench"]:
        """A throwaway copy of `files` (by their paths in the repository) to work on."""
        with on_disk(self.state), scratch(self.state / "scratch") as root:
            # uv looks for its configuration in every directory above, too. Here it finds an empty one, and stops.
            (root / "uv.toml").touch()
            with _in_memory(self._netrc()) as netrc:
                env = {**self._environment(root), "NETRC": f"/proc/self/fd/{netrc}"}
                bench = UvBench(root / "work", env, (self._password(),), (netrc,))
                bench.root.mkdir()
                for path, text in files.items():
                    bench.write(path, text)
                yield bench

    def _password(self) -> str:
        try:
            return self.index.password.reveal() if self.index.url and self.index.password else ""
        except LookupError as error:
            raise IndexRefused(self.index.url or "", str(error)) from None

    def _netrc(self) -> bytes:
        """The index's password by its host, so that no address and no lock ever holds it."""
        host, password = urlsplit(self.index.url or "").hostname or "", self._password()
        words = ("machine", _quoted(host), "login", _quoted(self.index.username), "password", _quoted(password))
        return (" ".join(words) + "\n").encode() if password else b""

    def _environment(self, root: Path) -> dict[str, str]:
        default = {"UV_DEFAULT_INDEX": self.index.url} if self.index.url else {}
        return default | environment(
            root,
            UV_CACHE_DIR=str(self.state / "uv"),
            UV_PYTHON_INSTALL_DIR=str(self.state / "python"),
            UV_CREDENTIALS_DIR=str(root),
            UV_NO_SYSTEM_CONFIG="1",
            UV_KEYRING_PROVIDER="disabled",
            UV_NO_BUILD="1",
            UV_NO_PROGRESS="1",
            # The look tries again, and holds no worker meanwhile.
            UV_HTTP_RETRIES="1",
            NO_COLOR="1",
            # uv fetches git sources by git.
            GIT_TERMINAL_PROMPT="0",
            GIT_CONFIG_NOSYSTEM="1",
            GIT_ALLOW_PROTOCOL="http:https:ssh",
        )


@dataclass(frozen=True, slots=True)
class UvBench(Bench):
    """A throwaway directory, and uv in it."""

    def uv(self, words: Sequence[str], directory: str = "", *, input: str = "", any_python: bool = True) -> str:
        """What `uv words…` says on stdout, run in a directory of the copy.

        `any_python`: ours will do, so uv need not look around for the target's. Else it looks for one that the project
        asks for, and downloads it if there is none.
        Raises `Unsolved`, `IndexRefused`, `IndexUnreachable`, `InterpreterMissing` and `ToolTimedOut`.
        """
        ours = ("--python", sys.executable, "--no-python-downloads") if any_python else ()
        try:
            ran = self.run([uv.find_uv_bin(), *words, *ours], directory, input=input)
        except ToolFailed as error:
            raise translated(error.said, error.hint) from None
        return ran.stdout.decode("utf-8", "replace")

    def tool(
        self, name: str, version: str, words: Sequence[str], directory: str = "", *, of: str = "", **env: str
    ) -> str:
        """What another tool of Python's says, in a directory of the copy, with `env` added.

        It is the one on PATH if that has the version, and else fetched by uv, into a place of its own; an empty version
        means any. `of` is the distribution that it comes with, if that is called otherwise. Raises `Unsolved`,
        `IndexRefused`, `IndexUnreachable` and `ToolTimedOut`.
        """
        try:
            return self.run([*self._found(name, version, of or name), *words], directory, env=env).stdout.decode(
                "utf-8", "replace"
            )
        except ToolFailed as error:
            raise translated_from(error.said, error.hint) from None

    def _found(self, name: str, version: str, distribution: str) -> list[str]:
        there = shutil.which(name, path=self.env["PATH"])
        if there is not None:
            said = self.run([there, "--version"], accept=range(256)).stdout.decode("utf-8", "replace")
            if not version or re.search(rf"(?<![\w.]){re.escape(version)}(?![\w.])", said):
                return [there]
        wanted = f"{distribution}=={version}" if version else distribution
        return [uv.find_uv_bin(), "tool", "run", "--no-python-downloads", "--from", wanted, name]


def upgrades(moves: Iterable[Move]) -> list[str]:
    """The options that move packages. A page of the index that is in uv's cache may be from before the release."""
    words = (["--upgrade-package", f"{m.package}=={m.version}", "--refresh-package", m.package] for m in moves)
    return [word for some in words for word in some]


def configuration(directory: str) -> tuple[str, ...]:
    """Where uv looks for its configuration from a directory of the repository: there, and in every one above it."""
    above = [PurePosixPath(directory), *PurePosixPath(directory).parents] if directory else [PurePosixPath()]
    return tuple(str(place / name) for place in above for name in ("uv.toml", "pyproject.toml"))


@contextlib.contextmanager
def _in_memory(content: bytes) -> Iterator[int]:
    """A file that is on no disk, so that nobody finds it there when we are killed."""
    descriptor = os.memfd_create("netrc")
    try:
        os.write(descriptor, content)
        yield descriptor
    finally:
        os.close(descriptor)


def _quoted(word: str) -> str:
    """For a netrc file, as uv reads one."""
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _platform(target: Wheels) -> str:
    kind, _, minor = target.libc.split("_")
    if kind == "musllinux":
        return f"{target.machine}-unknown-linux-musl"
    known = max((number for number in _GLIBC if number <= int(minor)), default=_GLIBC[0])
    return f"{target.machine}-manylinux_2_{known}"


def translated(said: str, hint: str = "") -> ToplayerError:
    """uv's last words, as one of our errors."""
    url = re.search(r"https?://[^\s`)]+", said)
    why = words(said)
    if re.search(r"No interpreter found|python-build-standalone", said):
        return InterpreterMissing(why)
    if re.search(r"error sending request|Request failed after|server error \(5|timed out|\(429 ", said):
        return IndexUnreachable(url[0] if url else "the index", why)
    if url and re.search(r"lack of valid authentication|40[13] (Unauthorized|Forbidden)", said):
        return IndexRefused(url[0], why)
    if unbuilt := re.search(rf"{BUILDS_NOTHING} .*", said):
        return Unsolved(unbuilt[0], "write into [project] what it leaves open")
    missing = re.search(r"no version of|no versions of|was not found in the package registry|no usable wheels", said)
    return Unsolved(why, hint or _hint(said), missing=missing is not None)


def translated_from(said: str, hint: str = "") -> ToplayerError:
    """The last words of a tool that speaks of indexes as `requests` does, as one of our errors."""
    url = re.search(r"https?://[^\s`'\")]+", said)
    why = inert(" ".join(re.sub(r"\x1b\[[0-9;]*m", "", said).split())[-600:], 600)
    if re.search(r"Connection(Error| refused| aborted)|All attempts to connect|Max retries|timed out|50[0234] ", said):
        return IndexUnreachable(inert(url[0]) if url else "the index", why)
    if url and re.search(r"40[13] |[Uu]nauthorized|Authorization", said):
        return IndexRefused(inert(url[0]), why)
    missing = re.search(r"No matching distribution|doesn't match any versions|not find a version|No matching", said)
    return Unsolved(why or "it did not say why", hint, missing=missing is not None)


def words(said: str) -> str:
    """The reasons in uv's words, on one line: without what it concludes from them, and without advice."""
    text = re.split(r"\n\s*hint: ", said, maxsplit=1)[0]
    text = re.sub(r"(?m)^(Using (CPython|PyPy) |warning: |Resolved ).*$", "", text)
    text = re.sub(r"(?m)^(error|\s+cause): ", " ", text)
    text = re.sub(r"No solution found when resolving dependencies( for split \(.*\))?", " ", text)
    steps = re.split(r", we can conclude that .*?(?: And because |$)", " ".join(text.split()))
    return inert("; ".join(step.removeprefix("Because ") for step in steps if step), 600) or "it did not say why"


def _hint(said: str) -> str:
    if "no usable wheels" in said:
        return "toplayer builds nothing from source: the release, or what it needs, has to have wheels"
    if "Required uv version" in said:
        return "widen `required-version` in [tool.uv], or install that uv beside toplayer"
    return ""
