"""What waits in one lane is not waited for in another: neither by the threads of one process nor by its processes."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, cast

import pytest

from tests.rig.process import wait_for
from watcher.desk import Desk
from watcher.order import Lane, Order
from workers.embedded import Threads

ROOT = Path(__file__).parents[2]


def test_a_pull_that_takes_hours_holds_up_nothing_but_pulls() -> None:
    go, done = threading.Event(), list[str]()

    def carry(_order: Order, id: str, _desk: Desk) -> None:
        if id.startswith("slow"):
            go.wait(30)
        done.append(id)

    threads = Threads(carry, 1)
    threads.desk = cast(Any, object())
    try:
        threads.send(Order.ROLL, "slow 1", Lane.PULLS)
        threads.send(Order.ROLL, "slow 2", Lane.PULLS)
        for lane in (Lane.HERE, Lane.HOSTS, Lane.BACK):
            threads.send(Order.ROLL, lane, lane)
        wait_for(lambda: len(done) == 3, "what is not a pull")
        assert (sorted(done), threads.is_idle) == (["back", "here", "hosts"], False)
    finally:
        go.set()
        threads.close()
    assert threads.is_idle or "slow 2" not in done


_WORKER = """
import signal, sys, time
from pathlib import Path
from watcher.order import Lane
from workers.lanes import run_each

def run(lane):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    here = Path(sys.argv[1])
    (here / lane).write_text(str(__import__("os").getpid()))
    # The one that ends does so when both have begun.
    while lane != sys.argv[2] or sum(1 for path in here.iterdir() if path.read_text()) < 2:
        time.sleep(0.05)
    sys.exit(3)

sys.exit(run_each([Lane.HERE, Lane.BACK], run))
"""


def started(directory: Path, ends: str = "") -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", _WORKER, str(directory), ends], cwd=ROOT)
    wait_for(lambda: len(pids(directory)) == 2, "both lanes")
    return process


def pids(directory: Path) -> list[int]:
    return [int(text) for path in directory.iterdir() if (text := path.read_text())]


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_all_lanes_end_when_the_worker_is_told_to(tmp_path: Path, number: signal.Signals) -> None:
    process = started(tmp_path)
    process.send_signal(number)
    assert process.wait(30) == 0
    assert all(map(gone, pids(tmp_path)))


def test_when_one_lane_ends_by_itself_so_do_all(tmp_path: Path) -> None:
    process = started(tmp_path, Lane.BACK)
    assert process.wait(30) == 3
    assert all(map(gone, pids(tmp_path)))


def test_lanes_whose_worker_was_killed_end_by_themselves(tmp_path: Path) -> None:
    process = started(tmp_path)
    process.kill()
    process.wait()
    wait_for(lambda: all(map(gone, pids(tmp_path))), "the lanes' end", 30)
