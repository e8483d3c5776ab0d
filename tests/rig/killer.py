"""Runs toplayer's command line in forks of one process, and ends each of them with SIGKILL at its n-th effect.

An effect is what somebody else could see: a transaction that changed more than a lease, a process that is started, a
name on disk that changes. They are counted from outside, by an audit hook (PEP 578) and events of SQLAlchemy, so the
program has no word about it. An audit event comes before its effect, the event of a commit after it.

Jobs come as lines of JSON, `{"words": [...], "last": n, "out": path}`; for each, its exit code (137: it was killed) and
the number of effects go out.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Engine, event

from watcher.cli.main import run
from workers.hands import Workers

ROOT = Path(__file__).parents[2]
_EFFECTS = {"subprocess.Popen", "os.rename"}


@dataclass
class Killer:
    """The process that forks. Use it as a context manager."""

    env: Mapping[str, str]

    def __enter__(self) -> Self:
        argv = [sys.executable, "-m", "tests.rig.killer"]
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=self.env
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(self, words: Sequence[str], out: Path, last: int = 0) -> tuple[int, int]:
        """The exit code and the number of effects of one run, which ends at its `last` effect (0: by itself)."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"words": list(words), "last": last, "out": str(out)}) + "\n")
        self._process.stdin.flush()
        code, effects = json.loads(self._process.stdout.readline())
        return code, effects


class _Counter:
    def __init__(self, last: int, report: int) -> None:
        self._last, self._report, self._count = last, report, 0
        self._lock, self._dirty = threading.Lock(), threading.local()

    def effect(self) -> None:
        with self._lock:
            self._count += 1
            os.pwrite(self._report, f"{self._count:>8}".encode(), 0)
            if self._count == self._last:
                os.kill(os.getpid(), signal.SIGKILL)

    def audit(self, name: str, arguments: tuple[Any, ...]) -> None:
        if name in _EFFECTS:
            self.effect()

    def executed(self, _c: object, _k: object, statement: str, *_: object) -> None:
        if statement.startswith(("INSERT", "UPDATE")) and " leases " not in statement:
            self._dirty.yes = True

    def committed(self, _: object) -> None:
        if getattr(self._dirty, "yes", False):
            self._dirty.yes = False
            self.effect()


def _child(job: dict[str, Any], report: int) -> None:
    out = os.open(job["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    counter = _Counter(job["last"], report)
    event.listen(Engine, "after_cursor_execute", counter.executed)
    event.listen(Engine, "commit", counter.committed)
    sys.addaudithook(counter.audit)
    code = 1
    try:
        code = run(Workers(), job["words"])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _serve() -> None:
    for line in sys.stdin:
        job = json.loads(line)
        report = os.memfd_create("effects")
        child = os.fork()
        if child == 0:
            _child(job, report)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status)
        effects = int(os.pread(report, 8, 0) or b"0")
        os.close(report)
        sys.stdout.write(json.dumps([137 if killed else os.WEXITSTATUS(status), effects]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
