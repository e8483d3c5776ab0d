"""`python tether.py FD COMMAND …`: a command that does not outlive whoever asked for it. A program of its own.

FD is the end to read from of a pipe, whose other end is held by who asked. It closes when that process is over, however
it ended, and then everything in this process group is killed. Nothing else does that: a signal on the death of the
parent reaches one process, and a command that starts another one (docker its plugins) leaves it behind.
"""

import os
import select
import signal
import sys


def main(pipe: int, argv: list[str]) -> None:
    """Runs the command and ends as it ends."""
    # Meant for the command, which gets it, too: it may clean up, and is waited for.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = os.fork()
    if child == 0:
        _become(pipe, argv)
    over = os.pidfd_open(child)
    poll = select.poll()
    poll.register(over, select.POLLIN)
    poll.register(pipe, 0)  # no bytes come: that it is closed is always told
    while over not in (ready := [descriptor for descriptor, _ in poll.poll()]):
        if pipe in ready:
            os.killpg(0, signal.SIGKILL)
    _end(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _become(pipe: int, argv: list[str]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.close(pipe)
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - the argument list that `process.run` was given
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
    os._exit(127)


def _end(code: int) -> None:
    if code < 0 and -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    if code < 0:
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
