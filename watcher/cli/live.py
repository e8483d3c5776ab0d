"""`toplayer status --watch`: the rollouts that are under way, until none is."""

import time
from collections.abc import Iterator

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from watcher import view
from watcher.cli.context import Context
from watcher.inert import inert
from watcher.rollout import RolloutStage
from watcher.units import size, span

_EVERY = 1.0
_SHOWN = 30
"""Hosts of one rollout; those that wait or are done are left out first."""
_STEPS = {
    "called": 1,
    "ahead": 1,
    "ready": 2,
    "fetched": 2,
    "swapping": 2,
    "proving": 3,
    "done": 4,
    "returned": 4,
    "stuck": 4,
}


def watch(context: Context, apps: list[str]) -> None:
    """Shows what is under way on standard output until nothing is, or until Ctrl-C."""
    with Live(console=Console(markup=False, highlight=False, emoji=False), auto_refresh=False) as live:
        while True:
            found = [row for row in view.status_rollouts(context.ledger, apps) if RolloutStage(row["stage"]).is_open]
            live.update(Group(*(part for row in found for part in shown(row))), refresh=True)
            if not found:
                return
            time.sleep(_EVERY)


def shown(row: view.Row) -> Iterator[Text | Table]:
    """One rollout: a line, and a table of its hosts with a bar for each."""
    hosts = row["hosts"]
    ended = sum(_STEPS.get(host["stage"], 0) == 4 for host in hosts)
    said = f"{row['id']} {row['stage']}, wave {row['wave']}, {ended} of {len(hosts)} hosts"
    yield Text(inert(said + (f": {row['reason']}" if row["reason"] else "")))
    table = Table(box=None, pad_edge=False)
    for name in ("HOST", "STAGE", "", "BYTES", "PULL", "SWAP", "REASON"):
        table.add_column(name)
    moving = sorted(hosts, key=lambda host: _STEPS.get(host["stage"], 0) in (0, 4))
    for host in moving[:_SHOWN]:
        bar = ProgressBar(total=4, completed=_way(host), width=16)
        figures = [span(host[key]) if host[key] is not None else "" for key in ("pull_seconds", "swap_seconds")]
        travelled = size(host["bytes"]) if host["bytes"] is not None else ""
        if host["gone"] is not None:
            travelled = f"{size(host['gone'])} of {size(host['known'])}"
        reason = inert((host["reason"] or "").replace("\n", " "), 80)
        table.add_row(Text(host["name"]), host["stage"], bar, travelled, *figures, Text(reason))
    yield table
    if len(hosts) > _SHOWN:
        yield Text(f"and {len(hosts) - _SHOWN} more hosts")


def _way(host: view.Row) -> float:
    """How far a host is, of four steps; the bytes that travel are the second one."""
    travelled = host["gone"] / max(host["known"], host["gone"], 1) if host["gone"] is not None else 0.0
    return _STEPS.get(host["stage"], 0) + float(travelled)
