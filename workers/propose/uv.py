"""uv, in a throwaway directory: no configuration but the project's, no code of strangers, no secret but the indexes'.

uv is told to build nothing (`UV_NO_BUILD`). To learn what a source distribution depends on it would have to run its
build script, here, as us; and the images are made of wheels anyway. What cannot be locked so is refused in words.
"""

import contextlib
import os
import platform
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import uv
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from watcher.errors import IndexRefused
from watcher.inert import inert
from watcher.route import address_of
from watcher.settings import IndexSettings
from watcher.wheels import Wheels
from workers.process import ToolFailed, environment
from workers.propose import stand_in
from workers.propose.bench import Bench, Unsolved, away, inside, on_disk
from workers.propose.box import Box
from workers.propose.kept import kept
from workers.propose.move import Move, hashes_of
from workers.propose.program import Program
from workers.propose.said import translated, translated_from
from workers.propose.uv_settings import required
from workers.scratch import scratch

# What `--python-platform` has names for, by the version of glibc. Older ones resolve alike.
_GLIBC = (17, 28, *range(31, 41))


_KEPT = ("uv", "pdm", "pipenv", "poetry", "pip-tools")
"""What the tools keep from one time to the next. The Pythons that uv has downloaded stay."""


@dataclass(frozen=True, slots=True)
class Uv:
    """uv for one app: its indexes, its image, and in `state` its cache, its copies and the Pythons that it downloaded.

    `index` is the one for what the others (`more`, which are asked first, in their order) do not have.
    """

    state: Path
    index: IndexSettings
    target: Wheels
    more: tuple[IndexSettings, ...] = ()
    box: Box | None = None

    @property
    def for_target(self) -> tuple[str, str]:
        """The options of `uv pip compile` for the image's Python and platform, each with its value behind a `=`."""
        return f"--python-version={self.target.python}", f"--python-platform={_platform(self.target)}"

    @contextlib.contextmanager
    def bench(self, files: Mapping[str, str]) -> Iterator["UvBench"]:
        """A throwaway copy of `files` (by their paths in the repository) to work on."""
        with on_disk(self.state), kept(self.state, _KEPT) as places, scratch(self.state / "scratch") as root:
            # uv looks for its configuration in every directory above, too. Here it finds an empty one, and stops.
            (root / "uv.toml").touch()
            keys = self.credentials(files)
            with _in_memory(_netrc(keys)) as netrc:
                env = {**self._environment(root, files), "NETRC": f"/proc/{os.getpid()}/fd/{netrc}"}
                secrets = [word for _, _, word in keys]
                cache = self.box.cache(self.state) if self.box else self.state
                bench = UvBench(
                    root / "work",
                    env,
                    secrets,
                    kept=[*places, self.state / "python"],
                    netrc=netrc,
                    required=required(files),
                    for_target=self.for_target,
                    cache=cache,
                    box=self.box,
                )
                bench.root.mkdir()
                (root / "tmp").mkdir()
                for name, text in stand_in.files().items():
                    (root / "site").mkdir(exist_ok=True)
                    (root / "site" / name).write_text(text)
                for path, text in files.items():
                    bench.write(path, text)
                yield bench

    def credentials(self, files: Mapping[str, str]) -> list[tuple[str, str, str]]:
        """Server (`host[:port]`), user and password of each index that is asked for these files, and has a password.

        Raises `IndexRefused`.
        """
        asked = [one for one in self._all if not one.explicit or _names(files, address_of(one))]
        return [(urlsplit(one.url or "").netloc, one.username, word) for one in asked if (word := _password(one))]

    def further(self, files: Mapping[str, str]) -> list[str]:
        """The addresses of the indexes besides the first one, without those that the project names itself.

        An explicit one is only asked by a project that names it.
        """
        addresses = (address_of(one) for one in self.more if not one.explicit)
        return [address for address in addresses if not _names(files, address)]

    def for_pip(self, files: Mapping[str, str]) -> dict[str, str]:
        """What pip, wherever it is in a tool, finds in its environment: its indexes, and that it takes wheels only."""
        plain = [urlsplit(one.url or "").netloc for one in self._all if (one.url or "").startswith("http:")]
        asked = {"PIP_INDEX_URL": self.index.url or "", "PIP_EXTRA_INDEX_URL": " ".join(self.further(files))}
        return {name: value for name, value in asked.items() if value} | {
            # The settings say so; what the project says of whom to trust does not count.
            "PIP_TRUSTED_HOST": " ".join(plain),
            "PIP_ONLY_BINARY": ":all:",
            "PIP_USE_PEP517": "1",
            "PIP_CONFIG_FILE": "/dev/null",
            "PIP_NO_INPUT": "1",
        }

    @property
    def _all(self) -> tuple[IndexSettings, ...]:
        return (*self.more, self.index)

    def _environment(self, root: Path, files: Mapping[str, str]) -> dict[str, str]:
        more = self.further(files)
        asked = {"UV_DEFAULT_INDEX": self.index.url or "", "UV_INDEX": " ".join(more)}
        return {name: value for name, value in asked.items() if value} | environment(
            root,
            UV_CACHE_DIR=str(self.state / "uv"),
            UV_PYTHON_INSTALL_DIR=str(self.state / "python"),
            TMPDIR=str(root / "tmp"),
            PYTHONPATH=str(root / "site"),
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
    """A throwaway directory, and uv in it: ours, or the one that the project requires (a specifier).

    Other tools keep in `cache` what they keep, and work in the `box` if that has them.
    """

    required: str = ""
    for_target: tuple[str, ...] = ()
    cache: Path = Path()
    box: Box | None = None

    def uv(self, words: Sequence[str], directory: str = "", *, input: str = "", any_python: bool = True) -> str:
        """What `uv words…` says on stdout, run in a directory of the copy.

        `any_python`: ours will do, so uv need not look around for the target's. Else it looks for one that the project
        asks for, and downloads it if there is none.
        Raises `Unsolved`, `ToolAway`, `IndexRefused`, `IndexUnreachable`, `InterpreterMissing` and `ToolTimedOut`.
        """
        ours = ("--python", sys.executable, "--no-python-downloads") if any_python else ()
        try:
            ran = self.run([*self._uv(), *words, *ours], directory, input=input)
        except ToolFailed as error:
            raise away(error) or translated(error.said) from None
        return ran.stdout.decode("utf-8", "replace")

    def compile(self, words: Sequence[str], directory: str = "", *, input: str = "") -> str:
        """What `uv pip compile words…` says: see `uv`.

        This one command does not see in its environment that it is to build nothing: it has to be told.
        """
        return self.uv(["pip", "compile", "--only-binary", ":all:", *words], directory, input=input)

    def python(self, wanted: str) -> Path:
        """An empty virtual environment with a Python in that specifier: ours, if that is. Raises like `uv`."""
        place = self.root.parent / "venv"
        try:
            ours = platform.python_version() in SpecifierSet(wanted)
        except InvalidSpecifier:
            raise Unsolved(f"the project asks for Python {inert(wanted, 80)!r}, which is no specifier") from None
        self.uv(
            ["venv", "--quiet", "--no-project", str(place), *([] if ours else ["--python", wanted])], any_python=ours
        )
        return place

    def hashes(self, versions: Mapping[str, str], moves: Iterable[Move]) -> dict[str, tuple[str, ...]]:
        """`sha256:…` of every file of these releases, by package, sorted.

        A tool that may build nothing does not see source distributions, and leaves out their hashes. Those of the
        `moves` are known; the others are asked for as the image's Python would ask.
        """
        known = {move.package: hashes_of(move) for move in moves if move.release.files}
        found = {name: hashes for name, hashes in known.items() if name in versions}
        rows = "".join(f"{name}=={version}\n" for name, version in versions.items() if name not in found)
        options = ("--no-deps", "--generate-hashes", "--no-header", "--no-annotate", "--quiet", *self.for_target)
        said = self.compile(["-", *options], input=rows) if rows else ""
        blocks = re.findall(r"(?m)^([a-z0-9-]+)==\S*((?:\s+\\\n\s+--hash=\S+)*)", said)
        return found | {name: tuple(sorted(re.findall(r"--hash=(\S+)", text))) for name, text in blocks}

    def tool(self, program: Program, words: Sequence[str], directory: str = "", **env: str) -> str:
        """What another tool of Python's says, in a directory of the copy, with `env` added.

        Raises `Unsolved`, `ToolAway`, `IndexRefused`, `IndexUnreachable` and `ToolTimedOut`.
        """
        try:
            box = self.box if self.box is not None and self.box.may_know(self.secrets) else None
            if box is not None and program.is_in(box):
                ran = box.run(
                    [program.name, *words],
                    root=self.root.parent,
                    cwd=self.root / inside(directory),
                    env={**self.env, **env},
                    cache=self.cache,
                    deadline=self.left(),
                    secrets=self.secrets,
                )
            else:
                ran = self.run([*program.command(self.env), *words], directory, env=env)
        except ToolFailed as error:
            raise away(error) or translated_from(error.said) from None
        return ran.stdout.decode("utf-8", "replace")

    def _uv(self) -> list[str]:
        if not self.required or version("uv") in SpecifierSet(self.required, prereleases=True):
            return [uv.find_uv_bin()]
        return Program("uv", self.required).command({**self.env, "PATH": ""})


def upgrades(moves: Iterable[Move]) -> list[str]:
    """The options that move packages. A page of the index that is in uv's cache may be from before the release."""
    words = (["--upgrade-package", one, "--refresh-package", move.package] for move in moves for one in _pinned(move))
    return [word for some in words for word in some]


def _pinned(move: Move) -> Iterator[str]:
    """What the package is to be, as a requirement; and where the lock has it in several versions, what each is to be:
    uv would move all of them."""
    here = f" ; {move.marker}" if move.stays and move.marker else ""
    yield f"{move.package}=={move.version}{here}"
    for pin in move.stays:
        yield f"{pin.package}=={pin.version}{f' ; {pin.marker}' if pin.marker else ''}"


@contextlib.contextmanager
def _in_memory(content: bytes) -> Iterator[int]:
    """A file that is on no disk, so that nobody finds it there when we are killed."""
    descriptor = os.memfd_create("netrc")
    try:
        os.write(descriptor, content)
        yield descriptor
    finally:
        os.close(descriptor)


def _names(files: Mapping[str, str], address: str) -> bool:
    """Whether the project names that index itself. What a lock says of it does not count."""
    return any(address in text for path, text in files.items() if not path.endswith(".lock"))


def _netrc(keys: Iterable[tuple[str, str, str]]) -> bytes:
    """The passwords by their hosts, so that no address and no lock ever holds one."""
    rows = (
        f"machine {_quoted(urlsplit(f'//{place}').hostname or '')} login {_quoted(user)} password {_quoted(word)}\n"
        for place, user, word in keys
    )
    return "".join(rows).encode()


def _password(index: IndexSettings) -> str:
    try:
        return index.password.reveal() if index.url and index.password else ""
    except LookupError as error:
        raise IndexRefused(index.url or "", str(error)) from None


def _quoted(word: str) -> str:
    """For a netrc file, as uv reads one."""
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _platform(target: Wheels) -> str:
    kind, _, minor = target.libc.split("_")
    if kind == "musllinux":
        return f"{target.machine}-unknown-linux-musl"
    known = max((number for number in _GLIBC if number <= int(minor)), default=_GLIBC[0])
    return f"{target.machine}-manylinux_2_{known}"
