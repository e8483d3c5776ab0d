"""The door to other people's tools: one command, in one directory, with one environment, and an end.

A command is an argument list and never sees a shell. It gets exactly the environment that it is given, a deadline, a
limit on memory and a limit on what it may say; when it is over, nothing that it started lives on.
"""

import contextlib
import os
import re
import resource
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from watcher.errors import Refused, Temporary
from watcher.inert import inert

MEMORY = 8 * 1024**3
"""Bytes of address space for each process of a tool. Address space, not memory in use: that is what Linux can limit."""
OUTPUT = 64 * 1024**2
"""Bytes that a tool may write to stdout."""
GRACE = timedelta(seconds=3)
"""How long a tool has to take its lock files away when its time is up."""

SAID = 64 * 1024
"""Bytes of stderr that are kept; whoever wants more listens."""
_TETHER = Path(__file__).with_name("tether.py")
_CHUNK = 64 * 1024
_FRAMES = re.compile(
    r"(?m)^(?:Traceback \(most recent call last\):|The above exception was the direct cause .*"
    r"|During handling of the above .*|  File \".*(?:\n    .*)*)(?:\n+|\Z)"
)
# What a machine may need to reach the world, and nothing else of ours.
_PASSED = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "TMPDIR")


@dataclass(frozen=True, slots=True)
class Ran:
    """What a tool said, whole (stderr: its last bytes), and its exit code."""

    stdout: bytes
    stderr: bytes
    code: int


class ToolFailed(Refused):
    """A tool ended badly. `code` is its exit code (negative: the signal that ended it), `said` its last words."""

    def __init__(self, tool: str, code: int, said: str, hint: str = "") -> None:
        self.tool, self.code, self.said, self.hint = tool, code, said, hint
        super().__init__(tool, code, said, hint)

    def __str__(self) -> str:
        return f"`{self.tool}` ended with {self.code}: {self.said or 'and said nothing'}"


class ToolTimedOut(Temporary):
    """A tool did not finish in its time (`seconds`)."""

    def __init__(self, tool: str, seconds: float, said: str) -> None:
        self.tool, self.seconds, self.said = tool, seconds, said
        super().__init__(tool, seconds, said)

    def __str__(self) -> str:
        return f"`{self.tool}` did not finish within {self.seconds:g} s: {self.said or 'it said nothing'}"


def environment(home: Path, **more: str) -> dict[str, str]:
    """The smallest environment that a tool works in: PATH, HOME, UTF-8, UTC, the way to the world, and `more`.

    Proxies and certificate files are taken from our own environment; credentials and configuration are not.
    """
    passed = {name: text for key in _PASSED for name in (key, key.lower()) if (text := os.environ.get(name))}
    fixed = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "LANG": "C.UTF-8", "TZ": "UTC"}
    return passed | fixed | more


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None,
    env: Mapping[str, str],
    deadline: timedelta,
    input: bytes = b"",
    accept: Collection[int] = (0,),
    secrets: Collection[str] = (),
    memory: int = MEMORY,
    largest: int = resource.RLIM_INFINITY,
    inherit: Collection[int] = (),
    hear: Callable[[bytes], object] = lambda _: None,
    name: str = "",
) -> Ran:
    """Runs a tool to its end; `env` is its whole environment, `accept` the exit codes that are not failures.

    `largest` is how many bytes a file may have that it writes, `name` what people call it, if that is not its own.
    `inherit` are descriptors that stay open until the tool has ended, even if we are killed before: a lock, say.
    `hear` gets all that the tool writes to stderr, while it does.

    Raises `ToolFailed` (also for a tool that is not installed, or that writes more than `OUTPUT` bytes) and
    `ToolTimedOut`. Neither holds any of the `secrets`. Whatever the tool started and left behind is killed.
    """
    tool, until = name or Path(argv[0]).name, time.monotonic() + deadline.total_seconds()
    try:
        process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            pass_fds=tuple(inherit),
        )
    except (OSError, ValueError) as error:
        hint = f"install {tool}, or put it on PATH" if isinstance(error, FileNotFoundError) else ""
        raise ToolFailed(tool, 127, str(error), hint) from None
    with contextlib.suppress(OSError):
        # From outside: code of ours that ran between fork and exec could deadlock in a process with threads.
        resource.prlimit(process.pid, resource.RLIMIT_AS, (memory, memory))
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (largest, largest))
    talk = _Talk(process, input, hear)
    try:
        ended = talk.listen(until)
        if not ended:
            os.killpg(process.pid, signal.SIGTERM)
            talk.listen(min(until, time.monotonic()) + GRACE.total_seconds())
    finally:
        # Not reaped yet, so the group's number is still its own.
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        talk.close()
    last = said(talk.stderr, secrets)
    if talk.too_much:
        raise ToolFailed(tool, code, f"it wrote more than {OUTPUT} bytes")
    if not ended:
        raise ToolTimedOut(tool, deadline.total_seconds(), last)
    if code not in accept:
        raise ToolFailed(tool, code, last or said(talk.stdout[-SAID:], secrets))
    return Ran(bytes(talk.stdout), bytes(talk.stderr), code)


@contextlib.contextmanager
def tethered(argv: Sequence[str]) -> Iterator[tuple[list[str], int]]:
    """The command `argv` as one that ends with us, and with it all that it started, also if we are killed; and the
    descriptor that it has to inherit.

    For what goes on working elsewhere, at length: a killed process ends no tool, and none of its deadlines is kept. It
    costs one more process while the command runs.
    """
    reading, writing = os.pipe()
    try:
        yield [sys.executable, "-I", "-S", str(_TETHER), str(reading), *argv], reading
    finally:
        os.close(reading)
        os.close(writing)


class _Talk:
    """Both directions of a conversation with a process, until it ends or is cut off."""

    def __init__(self, process: subprocess.Popen[bytes], input: bytes, hear: Callable[[bytes], object]) -> None:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        self.stdout, self.stderr, self.too_much = bytearray(), bytearray(), False
        self._input, self._hear = memoryview(input), hear
        self._stdin, self._pipes = process.stdin, (process.stdin, process.stdout, process.stderr)
        self._end = os.pidfd_open(process.pid)
        self._selector = selectors.DefaultSelector()
        for pipe in self._pipes:
            os.set_blocking(pipe.fileno(), False)
        self._selector.register(self._end, selectors.EVENT_READ)
        self._selector.register(process.stdout, selectors.EVENT_READ, self.stdout)
        self._selector.register(process.stderr, selectors.EVENT_READ, self.stderr)
        self._selector.register(process.stdin, selectors.EVENT_WRITE)

    def listen(self, until: float) -> bool:
        """Whether the process ended by itself before `until`. Its children may hold the pipes: they do not count."""
        while not self.too_much and (wait := until - time.monotonic()) > 0:
            ready = self._selector.select(wait)
            for key, _ in ready:
                if key.fileobj is self._stdin:
                    self._write()
                elif key.fileobj != self._end:
                    self._read(key)
            if any(key.fileobj == self._end for key, _ in ready):
                self._rest()
                return not self.too_much
        return False

    def close(self) -> None:
        """Lets go of the pipes."""
        self._selector.close()
        os.close(self._end)
        for pipe in self._pipes:
            with contextlib.suppress(OSError):
                pipe.close()

    def _rest(self) -> None:
        for key in list(self._selector.get_map().values()):
            if isinstance(key.data, bytearray):
                while not self.too_much and self._read(key):
                    pass

    def _read(self, key: selectors.SelectorKey) -> int:
        try:
            data = os.read(key.fd, _CHUNK)
        except BlockingIOError:
            return 0
        if not data:
            self._selector.unregister(key.fileobj)
        key.data.extend(data)
        if key.data is self.stderr:
            self._hear(data)
        del self.stderr[:-SAID]
        self.too_much = len(self.stdout) > OUTPUT
        return len(data)

    def _write(self) -> None:
        try:
            sent = os.write(self._stdin.fileno(), self._input[:_CHUNK]) if self._input else 0
            self._input = self._input[sent:]
        except BlockingIOError:
            return
        except OSError:
            self._input = self._input[:0]
        if not self._input:
            self._selector.unregister(self._stdin)
            with contextlib.suppress(OSError):
                self._stdin.close()


def said(output: bytes | bytearray, secrets: Collection[str]) -> str:
    """The end of what a tool said, to be shown to people: without the secrets."""
    # Where in a Python program something went wrong says nothing to whoever runs it, and takes all the room.
    text = _FRAMES.sub("", output.decode("utf-8", "replace")).strip()
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return inert(text[-2_000:])
