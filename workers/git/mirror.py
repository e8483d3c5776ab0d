"""A bare repository of our own in the state directory, and the one place where git is started."""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from pathlib import Path

from workers.git.errors import GitRefused, GitUnreachable, MirrorDamaged, is_damage, translated
from workers.git.remote import PROTOCOLS, Remote
from workers.process import Ran, ToolFailed, environment, run

LOCAL, NETWORK = timedelta(minutes=2), timedelta(minutes=10)
"""The time that a command has, with and without the network."""

# No hooks, no helpers that hand out a person's passwords, nothing that goes on in the background without our lock.
_HARDENED = ("core.hooksPath=/dev/null", "credential.helper=", "gc.autoDetach=false", "maintenance.autoDetach=false")
# Files above the threshold pass through in pieces: one of 400 MB takes 34 MB of memory to fetch, and not 385.
_FRUGAL = ("core.bigFileThreshold=16m", "pack.windowMemory=128m")
_PATIENCE = ("http.lowSpeedLimit=100", "http.lowSpeedTime=60")


class Mirror:
    """What has been fetched from a remote. It is a cache: deleting it loses nothing but time."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def git(
        self,
        *words: str,
        input: bytes = b"",
        env: Mapping[str, str] | None = None,
        tree: Path | None = None,
        remote: Remote | None = None,
        accept: Collection[int] = (0,),
        inherit: Collection[int] = (),
    ) -> Ran:
        """Runs `git words…` in the mirror, or a git error. `remote` is whom the command speaks to, if to anybody.

        `tree` is the work tree, where there is one; `inherit` are descriptors that git keeps open until it has ended.
        """
        try:
            return run(
                _argv(self.directory, words, tree, remote),
                cwd=None,
                env=_environment(self.directory) | dict(env or {}) | dict(remote.env if remote else {}),
                input=input,
                accept=accept,
                inherit=inherit,
                deadline=NETWORK if remote else LOCAL,
                secrets=remote.secrets if remote else (),
            )
        except ToolFailed as error:
            if is_damage(error):
                self._forget()
                raise MirrorDamaged(str(self.directory), error.said) from None
            where = remote.where if remote else str(tree or self.directory)
            raise translated(error, where, far=remote is not None) from None

    def read(self, *words: str, input: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
        """What `git words…` writes."""
        return self.git(*words, input=input, env=env).stdout

    def tree(self, commit: str, *paths: str) -> list[tuple[str, str, str]]:
        """Mode, object and path of every file at the commit, or of what is at `paths`."""
        deep = () if paths else ("-r",)
        out = self.read("--literal-pathspecs", "ls-tree", "-z", "--full-tree", *deep, commit, "--", *paths)
        entries = (os.fsdecode(line).split("\t", 1) for line in out.split(b"\0") if line)
        return [(head.split()[0], head.split()[2], path) for head, path in entries]

    def has(self, commit: str) -> bool:
        """Whether the commit is here."""
        return (
            self.directory.exists() and not self.git("cat-file", "-e", f"{commit}^{{commit}}", accept=(0, 1, 128)).code
        )

    @contextlib.contextmanager
    def locked(self) -> Iterator[int]:
        """Makes the mirror if there is none, and keeps every other fetch out of it.

        A git that is given the descriptor to `inherit` keeps the lock until it has ended, even if we are killed. So
        whoever holds it knows that lock files of git's own, which a killed git leaves behind, belong to nobody.
        """
        with on_disk(self.directory):
            self.directory.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.directory.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._wait_for(lock)
            with on_disk(self.directory):
                if self.directory.exists():
                    _sweep(self.directory)
                else:
                    self._make()
            yield lock
        finally:
            os.close(lock)

    def _wait_for(self, lock: int) -> None:
        until = time.monotonic() + NETWORK.total_seconds()
        while True:
            try:
                return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    raise GitUnreachable(str(self.directory), "another process holds its lock for too long") from None
            time.sleep(0.02)

    def _make(self) -> None:
        new = Mirror(self.directory.with_suffix(".new"))
        shutil.rmtree(new.directory, ignore_errors=True)
        new.git("init", "--bare", "--quiet", "--template=")
        # Opened with this are only the mirror and a remote that the operator named by its path. Git would refuse those
        # of another owner (volumes of containers, for instance); naming them in the configuration is consent enough.
        (new.directory / "trust").write_text("[safe]\n\tdirectory = *\n", encoding="utf-8")
        new.directory.rename(self.directory)

    def _forget(self) -> None:
        old = self.directory.with_suffix(".old")
        shutil.rmtree(old, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.directory.rename(old)
        shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def on_disk(place: Path | str) -> Iterator[None]:
    """Turns what the disk says while something is written at `place` into a `GitRefused`."""
    try:
        yield
    except OSError as error:
        hint = "make room on the disk, and check the owner of the directory"
        raise GitRefused(str(place), f"cannot be written: {error.strerror}", hint) from error


def _argv(directory: Path, words: Collection[str], tree: Path | None, remote: Remote | None) -> list[str]:
    settings = [word for setting in (*_HARDENED, *_FRUGAL, *_PATIENCE) for word in ("-c", setting)]
    place = [f"--git-dir={directory}", *([f"--work-tree={tree}"] if tree else [])]
    return ["git", *settings, *(remote.options if remote else ()), *place, *words]


def _environment(directory: Path) -> dict[str, str]:
    return environment(
        directory,
        LC_ALL="C",
        GIT_CONFIG_NOSYSTEM="1",
        GIT_CONFIG_GLOBAL=str(directory / "trust"),
        GIT_ATTR_NOSYSTEM="1",
        GIT_TERMINAL_PROMPT="0",
        GIT_ALLOW_PROTOCOL=PROTOCOLS,
    )


def _sweep(directory: Path) -> None:
    """Takes away what a killed git left locked."""
    for place in ("*.lock", "refs/**/*.lock", "objects/info/*.lock", "objects/info/*/*.lock", "gc.pid"):
        for file in directory.glob(place):
            file.unlink(missing_ok=True)
