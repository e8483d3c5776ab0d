"""The commands that show something and change nothing."""

from pathlib import Path
from typing import Any

import click

from watcher import view
from watcher.cli.context import Context
from watcher.cli.live import watch
from watcher.cli.out import chosen, emit, say, short, table, when
from watcher.errors import NotFound
from watcher.ledger import utcnow
from watcher.notice import lines, notices
from watcher.report import page
from watcher.rollout import Rollout
from watcher.units import size, span

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
PARTLY = 3


@click.command()
@click.argument("app", required=False)
@click.option("--watch", "live", is_flag=True, help="Keep showing the rollouts until none is under way.")
@as_json
@click.pass_obj
def status(context: Context, app: str | None, live: bool, as_json: bool) -> int:
    """Show what is under way, and how the last rollout ended."""
    if live:
        watch(context, context.apps(app))
    row = view.status(context.settings, context.ledger, context.apps(app), utcnow())
    if as_json:
        emit(row)
    else:
        _print_status(row)
    return PARTLY if view.waiting(context.settings, context.ledger) else 0


def _print_status(row: view.Row) -> None:
    for scope, said in row["paused"].items():
        say(f"paused: {'everything' if scope == '*' else scope} ({said})")
    for app in row["apps"]:
        seen = f"at {short(app['commit'])}, {app['pins']} pins" if app["commit"] else "not surveyed yet"
        say(f"{app['app']}: {seen}, surveyed {when(app['surveyed_at']) or 'never'}")
        for said in filter(None, (app["reason"], app["remark"], app["base"], app["forge"])):
            say(f"  {said}")
    for index in row["indexes"]:
        unknown = ""
        if index["unknown"]:
            since = f" since {when(index['unknown_since'])}" if index["unknown_since"] else ""
            unknown = f", {index['unknown']} of {index['packages']} packages unknown{since}"
        say(f"{index['index']}: polled {when(index['polled_at']) or 'never'}{unknown}")
        for said in filter(None, (index["reason"], index["hint"] and f"hint: {index['hint']}")):
            say(f"  {said}")
    for receiver in row["receivers"]:
        if receiver["behind"] or receiver["reason"]:
            say(f"{receiver['receiver']}: {receiver['behind']} events to deliver; {receiver['reason']}")
    if row["hits"]:
        say("")
        cells = [[*chosen(hit, "app", "package", "current", "candidate"), hit["said"]] for hit in row["hits"]]
        table(["APP", "PACKAGE", "AFFECTED", "CANDIDATE", "ADVISORIES"], cells)
    if row["bumps"]:
        say("")
        bumps = [
            {**bump, "said": bump["reason"] or bump["waits"] or bump["held"] or bump["url"]} for bump in row["bumps"]
        ]
        cells = [chosen(bump | _parts(bump), "app", "package", "from", "to", "stage", "said") for bump in bumps]
        table(["APP", "PACKAGE", "FROM", "TO", "STAGE", "REASON"], cells)
    for rollout in row["rollouts"]:
        say("")
        _print_rollout(rollout)


def _parts(bump: view.Row) -> view.Row:
    """All that moves with a bump."""
    parts = [bump, *bump["with"]]
    return {key: ", ".join(part[key] for part in parts) for key in ("package", "from", "to")}


def _print_rollout(rollout: view.Row) -> None:
    took = f", {span(rollout['seconds'])}" if rollout["seconds"] is not None else ""
    held = ", held" if rollout["held"] else ""
    said = f"{rollout['id']} {rollout['stage']}{held}: commit {short(rollout['commit'])}"
    said += f", image {short(rollout['image'])}" if rollout["image"] else ""
    say(said + took)
    if rollout["layers"] is not None:
        foreseen = f" ({size(rollout['foreseen'])} foreseen)" if rollout["foreseen"] is not None else ""
        say(f"  {rollout['new_layers']} of {rollout['layers']} layers new, {size(rollout['new_size'])}{foreseen}")
    for line in _first(rollout["told"]):
        say(f"  {line}")
    if rollout["warning"]:
        say(f"  warning: {rollout['warning']}")
    if rollout["reason"]:
        say(f"  {rollout['reason']}")
    if rollout["hosts"]:
        cells = [
            [h["name"], h["stage"], short(h["digest"]), _size(h["bytes"]), _span(h["seconds"]), h["reason"]]
            for h in rollout["hosts"]
        ]
        table(["HOST", "STAGE", "RUNS", "BYTES", "SECONDS", "REASON"], cells, right=["BYTES", "SECONDS"])


_TOLD = 6


def _first(told: list[str]) -> list[str]:
    """As many of the lines of a prediction as can be looked over."""
    return told if len(told) <= _TOLD else [*told[: _TOLD - 1], f"and {len(told) - _TOLD + 1} more: see --json"]


def _size(value: int | None) -> str:
    return "" if value is None else size(value)


def _span(value: float | None) -> str:
    return "" if value is None else span(value)


@click.command()
@click.argument("app", required=False)
@click.option("-n", "--limit", type=click.IntRange(1), default=20, show_default=True, help="How many.")
@click.option("--events", is_flag=True, help="Show the audit, event by event, instead of the rollouts.")
@as_json
@click.pass_obj
def history(context: Context, app: str | None, limit: int, events: bool, as_json: bool) -> None:
    """Show past rollouts, or all events."""
    apps = context.apps(app)
    if events:
        found = context.ledger.events(app=app or "", limit=limit, newest_first=True)[::-1]
        if as_json:
            emit([view.event_row(event) for event in found])
        for event in () if as_json else found:
            say(f"{when(event.at.isoformat())}  {next(iter(lines(notices([event]))))}")
        return
    rows = view.history(context.ledger, apps, limit)
    if as_json:
        emit(rows)
        return
    figures = ["NEW LAYERS", "NEW BYTES", "HOSTS", "BYTES/HOST", "PULL", "SWAP", "HEALTHY", "SECONDS"]
    columns = ["ROLLOUT", "STAGE", "COMMIT", "IMAGE", *figures, "ENDED"]
    table(columns, [_history_cells(row) for row in rows], right=figures)


def _slowest(hosts: list[view.Row], key: str) -> float | None:
    return max((host[key] for host in hosts if host[key] is not None), default=None)


def _history_cells(row: view.Row) -> list[Any]:
    done = [host for host in row["hosts"] if host["stage"] == "done"]
    most = max((host["bytes"] or 0 for host in done), default=None)
    layers = f"{row['new_layers']}/{row['layers']}" if row["layers"] is not None else ""
    return [
        row["id"],
        row["stage"],
        short(row["commit"]),
        short(row["image"]),
        layers,
        _size(row["new_size"]),
        f"{len(done)}/{len(row['hosts'])}",
        _size(most),
        *(_span(_slowest(done, key)) for key in ("pull_seconds", "swap_seconds", "healthy_seconds")),
        _span(row["seconds"]),
        when(row["done_at"]),
    ]


@click.command()
@as_json
@click.pass_obj
def hosts(context: Context, as_json: bool) -> None:
    """Show every host and what it runs, as far as the ledger knows."""
    rows = view.fleet_rows(context.settings, context.ledger)
    if as_json:
        emit(rows)
        return
    keys = ("fleet", "name", "address", "app", "digest", "rollout", "stage", "reason")
    cells = [chosen(row | {"digest": short(row["digest"])}, *keys) for row in rows]
    table(["FLEET", "HOST", "ADDRESS", "APP", "RUNS", "ROLLOUT", "STAGE", "REASON"], cells)


@click.command()
@click.argument("rollout")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file to write; standard output without.")
@click.pass_obj
def report(context: Context, rollout: str, output: Path | None) -> None:
    """Write a rollout as one HTML page.

    Timeline and bytes of every host, waves, and seconds from the upstream release and from the merge.
    """
    found = context.ledger.find(Rollout, id=rollout)
    if found is None:
        newest = context.ledger.all(Rollout, order="-wanted_at", limit=8)
        raise NotFound("rollout", rollout, [one.id for one in newest])
    text = page(view.rollout_row(context.ledger, found))
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
        say(f"wrote {output}")


COMMANDS = (status, history, hosts, report)
