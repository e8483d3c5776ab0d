"""What follows what: the pipeline on one page.

Pure functions of entries and time. The look asks them what to order and what to turn; a worker asks them again before
it acts, because its message may be late, or the second of its kind. Nothing else in the project knows the sequence.

    survey ──▶ pins ──poll──▶ Bump found ──propose──▶ proposed ──survey──▶ merged (or closed)
                                                   proposed: see `watcher.tend`
    survey ──▶ commit ──▶ Rollout wanted ──build──▶ built ──▶ rolling: waves of hosts ──▶ done (or halted)
    host: pending ──(its wave)──▶ called ──roll──▶ fetched ──roll──▶ proving ──roll──▶ done (or failed ──▶ returned)
"""

from watcher.decide.bumps import Locked, Wishes, in_the_way, locked, next_bump, settled, waits
from watcher.decide.hosts import goes_back, host_due, inspected, inspection_due, lane, offline, seen, watch_due
from watcher.decide.looks import poll_due, rush_left, survey_due
from watcher.decide.rollouts import build_due, holds_up, is_busy, is_over, is_wanted, turned, wanted

__all__ = [
    "Locked",
    "Wishes",
    "build_due",
    "goes_back",
    "holds_up",
    "host_due",
    "in_the_way",
    "inspected",
    "inspection_due",
    "is_busy",
    "is_over",
    "is_wanted",
    "lane",
    "locked",
    "next_bump",
    "offline",
    "poll_due",
    "rush_left",
    "seen",
    "settled",
    "survey_due",
    "turned",
    "waits",
    "wanted",
    "watch_due",
]
