"""A worker of the service mode is a process for each lane, so that none is ever full of what another one carries."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess

from watcher.order import Lane

_LOOK = 1.0


def run_each(lanes: Sequence[Lane], run: Callable[[Lane], None]) -> int:
    """Runs each lane in a process of its own until it is told to end, by SIGTERM or Ctrl-C; the worst exit code.

    If one ends by itself, all of them are told to: whoever started the worker starts it again, whole.
    """
    mine = os.getpid()
    processes = [multiprocessing.get_context("fork").Process(target=_alone, args=(run, lane, mine)) for lane in lanes]

    told = set[ForkProcess]()

    def end(_signal: int, _frame: object) -> None:
        if os.getpid() != mine:
            os._exit(0)  # a lane that has not begun
        told.update(process for process in processes if process.is_alive())
        _end(processes)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        for process in processes:
            process.start()
        wait([process.sentinel for process in processes])
        # Who was told already is ending, and is not told once more amid that.
        _end([process for process in processes if process not in told])
        for process in processes:
            process.join()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return max(abs(process.exitcode or 0) for process in processes)


def _end(processes: Sequence[ForkProcess]) -> None:
    for process in processes:
        if process.is_alive():
            process.terminate()


def _alone(run: Callable[[Lane], None], lane: Lane, parent: int) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    run(lane)


def _follow(parent: int) -> None:
    """Ends this process when the one that started it is gone: nobody would hand a signal on."""
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os.kill(os.getpid(), signal.SIGTERM)
