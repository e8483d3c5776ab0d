"""The commands that show something and change nothing."""

from typing import Any

import click

from watcher import view
from watcher.cli.context import Context
from watcher.cli.out import chosen, emit, say, short, table, when
from watcher.ledger import utcnow
from watcher.notice import lines, notices
from watcher.units import size, span

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
PARTLY = 3


@click.command()
@click.argument("app", required=False)
@as_json
@click.pass_obj
def status(context: Context, app: str | None, as_json: bool) -> int:
    """Show what is under way, and how the last rollout ended."""
    row = view.status(context.settings, context.ledger, context.apps(app), utcnow())
    if as_json:
        emit(row)
    else:
        _print_status(row)
    return PARTLY if view.waits(context.settings, context.ledger) else 0


def _print_status(row: view.Row) -> None:
    for scope, said in row["paused"].items():
        say(f"paused: {'everything' if scope == '*' else scope} ({said})")
    for app in row["apps"]:
        seen = f"at {short(app['commit'])}, {app['pins']} pins" if app["commit"] else "not surveyed yet"
        say(f"{app['app']}: {seen}, surveyed {when(app['surveyed_at']) or 'never'}")
        for said in filter(None, (app["reason"], app["forge"])):
            say(f"  {said}")
    for index in row["indexes"]:
        unknown = ""
        if index["unknown"]:
            since = f" since {when(index['unknown_since'])}" if index["unknown_since"] else ""
            unknown = f", {index['unknown']} of {index['packages']} packages unknown{since}"
        say(f"{index['index']}: polled {when(index['polled_at']) or 'never'}{unknown}")
        if index["reason"]:
            say(f"  {index['reason']}")
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
        cells = [chosen(bump, "app", "package", "from", "to", "stage", "said") for bump in bumps]
        table(["APP", "PACKAGE", "FROM", "TO", "STAGE", "REASON"], cells)
    for rollout in row["rollouts"]:
        say("")
        _print_rollout(rollout)


def _print_rollout(rollout: view.Row) -> None:
    took = f", {span(rollout['seconds'])}" if rollout["seconds"] is not None else ""
    held = ", held" if rollout["held"] else ""
    said = f"{rollout['id']} {rollout['stage']}{held}: commit {short(rollout['commit'])}"
    said += f", image {short(rollout['image'])}" if rollout["image"] else ""
    say(said + took)
    if rollout["layers"] is not None:
        say(f"  {rollout['new_layers']} of {rollout['layers']} layers new, {size(rollout['new_size'])}")
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
    figures = ["NEW LAYERS", "NEW BYTES", "HOSTS", "BYTES/HOST", "SECONDS"]
    columns = ["ROLLOUT", "STAGE", "COMMIT", "IMAGE", *figures, "ENDED"]
    table(columns, [_history_cells(row) for row in rows], right=figures)


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


COMMANDS = (status, history, hosts)
