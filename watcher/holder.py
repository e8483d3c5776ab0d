"""Who holds a lease: a process that can be told dead without waiting, if it died on this machine."""

import os
import uuid
from functools import cache
from pathlib import Path


@cache
def _machine() -> str:
    """This boot of this machine, and this process namespace in it: process ids mean something only within both."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"


def _started(pid: int) -> str:
    """The start time of a process in clock ticks since boot (proc(5), field 22), or an empty text if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in ("Z", "X") else fields[19]


def new_holder() -> str:
    """A name for one acquisition of a lease by this process."""
    pid = os.getpid()
    return f"{_machine()}/{pid}/{_started(pid)}/{uuid.uuid4().hex}"


def is_dead(holder: str) -> bool:
    """Whether the process behind `holder` certainly does not live any more. On another machine nobody knows: False."""
    machine, _, rest = holder.rpartition("/")[0].rpartition("/")[0].rpartition("/")
    pid, started = rest, holder.rpartition("/")[0].rpartition("/")[2]
    return machine == _machine() and pid.isdigit() and _started(int(pid)) != started
