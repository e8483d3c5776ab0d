"""Keeps a program from writing anywhere but in a few directories, where the kernel can do that: Landlock, Linux 5.19.

This file is also what is run, as `confined.py [--netrc=DESCRIPTOR] DIRECTORY... -- PROGRAM ARGUMENT...`: what it does
to itself holds for the program that takes its place, and for all that this one starts. It imports nothing of ours, so
that it starts quickly.
"""

import ctypes
import os
import struct
import sys
from collections.abc import Sequence

# From <linux/landlock.h>: making a set of rules, adding to it, and living by it have these numbers everywhere.
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION, _BENEATH = 1, 1
_NO_NEW_PRIVILEGES = 38
_WRITE_FILE, _TRUNCATE = 1 << 1, 1 << 14
# Removing and making of all kinds, and moving from one directory to another.
_CHANGES = sum(1 << bit for bit in range(4, 14))
_OLDEST = 2
"""The first version that can allow moving a file from one directory to another."""
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")


def can_confine() -> bool:
    """Whether this kernel can do it."""
    return _version() >= _OLDEST


def confined(argv: Sequence[str], places: Sequence[object], netrc: int = 0) -> list[str]:
    """The command that runs `argv` so that it can write to these directories, and nowhere else.

    A program that lives so does not see the descriptors of ours: the one of its `netrc` becomes one of its own.
    """
    if not can_confine():
        return list(argv)
    more = [f"--netrc={netrc}"] if netrc else []
    return [sys.executable, "-I", "-S", __file__, *more, *map(str, places), "--", *argv]


def confine(places: Sequence[str]) -> None:
    """From now on, for this process and all that it starts. Raises `OSError`."""
    handled = _WRITE_FILE | _CHANGES | (_TRUNCATE if _version() > _OLDEST else 0)
    rules = _asked(_CREATE, struct.pack("Q", handled), 8, 0)
    for place in (*places, *_DEVICES):
        if not os.path.exists(place):  # noqa: PTH110
            continue
        allowed = handled if os.path.isdir(place) else handled & (_WRITE_FILE | _TRUNCATE)  # noqa: PTH112
        descriptor = os.open(place, os.O_PATH | os.O_CLOEXEC)
        _asked(_ADD, rules, _BENEATH, struct.pack("=Qi", allowed, descriptor), 0)
        os.close(descriptor)
    if ctypes.CDLL(None, use_errno=True).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    _asked(_RESTRICT, rules, 0)
    os.close(rules)


def _version() -> int:
    try:
        return _asked(_CREATE, None, 0, _VERSION)
    except OSError:
        return 0


def _asked(number: int, *arguments: int | bytes | None) -> int:
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    answer: int = call(*(ctypes.c_long(one) if isinstance(one, int) else one for one in (number, *arguments)))
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer


def _main() -> None:
    words = sys.argv[1:]
    end = words.index("--")
    places, argv = words[:end], words[end + 1 :]
    if places and places[0].startswith("--netrc="):
        os.environ["NETRC"] = f"/proc/{os.getpid()}/fd/{int(places.pop(0).partition('=')[2])}"
    confine(places)
    try:
        os.execvp(argv[0], argv)  # noqa: S606
    except OSError as error:
        sys.stderr.write(f"{argv[0]}: {error.strerror}\n")
        sys.exit(127)


if __name__ == "__main__":
    _main()
