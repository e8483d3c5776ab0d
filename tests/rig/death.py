"""SIGKILL at a chosen place: a forked process does something, and is gone at the n-th event of a kind."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

Counts = Callable[[str, tuple[Any, ...]], bool]


def dies_at(count: int, counts: Counts, do: Callable[[], object]) -> bool:
    """Whether the process that does `do` was killed right before its `count`-th event (from 1), or got to the end.

    `counts` says of one of Python's audit events (its name and arguments) whether it is one to count.
    """
    pid = os.fork()
    if pid == 0:
        _live(count, counts, do)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0, "it failed before it could be killed; its error is above"
    return False


def changes_files(event: str, args: tuple[Any, ...]) -> bool:
    """Everything that changes what is on the disk, but for writing into a file that is open."""
    if event == "open":
        return isinstance(args[2], int) and bool(args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    return event in ("os.rename", "os.link", "os.symlink", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.utime")


def changes_over_http(event: str, args: tuple[Any, ...]) -> bool:
    """The head of every request that asks for a change."""
    return event == "http.client.send" and bytes(args[1][:6]).startswith((b"POST ", b"PUT ", b"DELETE"))


def _live(count: int, counts: Counts, do: Callable[[], object]) -> None:
    seen = 0

    def watch(event: str, args: tuple[Any, ...]) -> None:
        nonlocal seen
        if counts(event, args):
            seen += 1
            if seen == count:
                os.kill(os.getpid(), signal.SIGKILL)

    try:
        sys.addaudithook(watch)
        do()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
